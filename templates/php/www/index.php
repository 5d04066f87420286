<?php
// Greets the name in the query.
header('Content-Type: text/plain; charset=utf-8');
$name = $_GET['name'] ?? 'world';
$path = $_SERVER['PATH_INFO'] ?? '';
$length = strlen(file_get_contents('php://input'));
echo "Hello, $name!\nYou asked for $path and sent $length bytes.\n";
// The error log is the log of the server.
error_log("greeted $name");
