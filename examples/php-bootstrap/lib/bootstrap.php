<?php
// What is the same for each request: the classes of the application, and what they make of their data.

final class Zone
{
    public function __construct(
        public readonly string $name,
        public readonly string $country,
        public readonly float $latitude,
        public readonly float $longitude,
    ) {
    }

    public function time(): string
    {
        return (new DateTimeImmutable('now', new DateTimeZone($this->name)))->format('H:i');
    }
}

final class Atlas
{
    /** @var array<string, Zone> */
    private array $zones = [];

    public static function ofAllZones(): self
    {
        $atlas = new self();
        foreach (DateTimeZone::listIdentifiers() as $name) {
            $place = (new DateTimeZone($name))->getLocation();
            $atlas->zones[$name] = new Zone($name, $place['country_code'], $place['latitude'], $place['longitude']);
        }
        return $atlas;
    }

    public function zone(string $name): ?Zone
    {
        return $this->zones[$name] ?? null;
    }

    /** @return list<Zone> The zones that are nearest to one, in degrees. */
    public function near(Zone $here, int $count): array
    {
        $distance = fn (Zone $zone) => hypot($zone->latitude - $here->latitude, $zone->longitude - $here->longitude);
        $zones = array_values($this->zones);
        usort($zones, fn (Zone $one, Zone $other) => $distance($one) <=> $distance($other));
        return array_slice($zones, 1, $count);
    }
}

$atlas = Atlas::ofAllZones();

// With `warm_start` each request begins here. PHP has read a request by then, so this one is read again.
file_exists('/.wagi/checkpoint');
parse_str(getenv('QUERY_STRING') ?: '', $_GET);
$_COOKIE = [];
foreach (explode(';', getenv('HTTP_COOKIE') ?: '') as $cookie) {
    [$name, $value] = explode('=', ltrim($cookie), 2) + ['', ''];
    $_COOKIE += $name === '' ? [] : [$name => rawurldecode($value)];
}
$_REQUEST = $_GET + $_POST;
