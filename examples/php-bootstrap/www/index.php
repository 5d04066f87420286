<?php
$zone = $atlas->zone($_GET['zone'] ?? $_COOKIE['zone'] ?? 'UTC') ?? $atlas->zone('UTC');
setcookie('zone', $zone->name);
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>World clock</title>
<h1><?= $zone->time() ?> in <?= htmlspecialchars($zone->name) ?></h1>
<ul>
<?php foreach ($atlas->near($zone, 5) as $near): ?>
<li><a href="?zone=<?= urlencode($near->name) ?>"><?= htmlspecialchars($near->name) ?></a>: <?= $near->time() ?>

<?php endforeach ?>
</ul>
</html>
