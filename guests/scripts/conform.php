<?php
// The conformance program of all languages, in PHP.
if ($_SERVER['PATH_INFO'] === '/binary') {
    header('Content-Type: application/octet-stream');
    echo strrev(file_get_contents('php://input'));
    exit;
}
http_response_code(201);
header('Content-Type: text/plain; charset=utf-8');
header('Set-Cookie: first=1; Path=/', false);
header('Set-Cookie: second=2; Path=/', false);
error_log('to standard error');
echo "method: {$_SERVER['REQUEST_METHOD']}\n";
echo "path: {$_SERVER['PATH_INFO']}\n";
echo 'query: ', $_GET['name'] ?? '', ' ', $_GET['n'] ?? '', "\n";
echo 'form: ', $_POST['a'] ?? '', ' ', $_POST['b'] ?? '', "\n";
echo 'cookies: ', $_COOKIE['one'] ?? '', ' ', $_COOKIE['two'] ?? '', "\n";
echo 'file: ', file_get_contents(__DIR__ . '/conform.txt');
