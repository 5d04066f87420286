<?php
header('Content-Type: text/plain');
for ($i = 0, $sum = 0; $i < 400000; $i++) {
    $sum = ($sum * 31 + $i) % 1000003;
}
echo $sum, "\n";
