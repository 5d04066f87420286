<?php
// A guest book: entries in SQLite, pictures that visitors upload, a session that knows its visitor again.
declare(strict_types=1);

const PICTURES = '/data/pictures';
const TYPES = ['image/png', 'image/jpeg', 'image/gif'];

session_start();
$_SESSION['token'] ??= bin2hex(random_bytes(16));
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;

// WASI has no locks for files. Requests run one at a time, by `concurrency = 1`.
$book = new PDO('sqlite:file:/data/book.db?vfs=unix-none');
$book->exec('CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, name TEXT NOT NULL, message TEXT NOT NULL,
    picture TEXT, type TEXT, written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)');

function refuse(int $status, string $why): never
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    exit("$why\n");
}

/** Stores an uploaded picture under a name of our own. What it is, its content says. */
function picture(?array $upload): array
{
    if ($upload === null || $upload['error'] === UPLOAD_ERR_NO_FILE) {
        return [null, null];
    }
    if ($upload['error'] !== UPLOAD_ERR_OK) {
        refuse(413, 'The picture is too large.');
    }
    $type = getimagesize($upload['tmp_name'])['mime'] ?? '';
    if (!in_array($type, TYPES, true)) {
        refuse(415, 'A picture is a PNG, JPEG or GIF.');
    }
    is_dir(PICTURES) || mkdir(PICTURES);
    $name = bin2hex(random_bytes(16));
    move_uploaded_file($upload['tmp_name'], PICTURES . "/$name") || refuse(500, 'The picture cannot be stored.');
    return [$name, $type];
}

function write(PDO $book): never
{
    hash_equals($_SESSION['token'], (string) ($_POST['token'] ?? '')) || refuse(403, 'The form is too old.');
    $name = trim((string) ($_POST['name'] ?? ''));
    $message = trim((string) ($_POST['message'] ?? ''));
    if ($name === '' || $message === '' || strlen($name) > 100 || strlen($message) > 2000) {
        refuse(422, 'An entry has a name and a message.');
    }
    $_SESSION['name'] = $name;
    $book->prepare('INSERT INTO entry (name, message, picture, type) VALUES (?, ?, ?, ?)')
        ->execute([$name, $message, ...picture($_FILES['picture'] ?? null)]);
    header("Location: {$_SERVER['SCRIPT_NAME']}", true, 303);
    exit;
}

function show_picture(PDO $book, int $id): never
{
    $found = $book->prepare('SELECT picture, type FROM entry WHERE id = ? AND picture IS NOT NULL');
    $found->execute([$id]);
    $row = $found->fetch(PDO::FETCH_ASSOC) ?: refuse(404, 'There is no such picture.');
    header("Content-Type: {$row['type']}");
    header('X-Content-Type-Options: nosniff');
    readfile(PICTURES . "/{$row['picture']}");
    exit;
}

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    write($book);
}
$path = $_SERVER['PATH_INFO'] ?? '';
if (preg_match('#^/picture/(\d{1,9})$#', $path, $parts)) {
    show_picture($book, (int) $parts[1]);
}
$path === '' || $path === '/' || refuse(404, 'There is no such page.');
$entries = $book->query('SELECT * FROM entry ORDER BY id DESC LIMIT 50')->fetchAll(PDO::FETCH_ASSOC);
$text = fn (string $value): string => htmlspecialchars($value, ENT_QUOTES);
$root = rtrim(dirname($_SERVER['SCRIPT_NAME']), '/');
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Guest book</title>
<link rel="stylesheet" href="<?= $text($root) ?>/style.css">
<h1>Guest book</h1>
<p>Your visits: <?= $_SESSION['visits'] ?></p>
<form method="post" action="<?= $text($_SERVER['SCRIPT_NAME']) ?>" enctype="multipart/form-data">
<input type="hidden" name="token" value="<?= $_SESSION['token'] ?>">
<label>Name <input name="name" maxlength="100" required value="<?= $text($_SESSION['name'] ?? '') ?>"></label>
<label>Message <textarea name="message" maxlength="2000" required></textarea></label>
<label>Picture <input type="file" name="picture" accept="<?= implode(',', TYPES) ?>"></label>
<button>Write</button>
</form>
<?php foreach ($entries as $entry): ?>
<article>
<h2><?= $text($entry['name']) ?></h2>
<p><?= nl2br($text($entry['message'])) ?></p>
<?php if ($entry['picture'] !== null): ?>
<img src="<?= $text($_SERVER['SCRIPT_NAME']) ?>/picture/<?= $entry['id'] ?>" alt="">
<?php endif ?>
<time><?= $text($entry['written']) ?></time>
</article>
<?php endforeach ?>
</html>
