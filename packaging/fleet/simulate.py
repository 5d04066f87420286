#!/usr/bin/env python3
"""How does a fleet of replicas do under a load: what do clients wait, and which share of them is turned away?

    python3 packaging/fleet/simulate.py run --replicas 3 --permits 64 --rate 800 --wait 0.1 --compute 0.002
    python3 packaging/fleet/simulate.py run ... --fail 1@20+10        # the second replica is killed after 20 s, for 10 s
    python3 packaging/fleet/simulate.py compare target/release/wagi   # with two real replicas on this machine

Requests come at random times (a Poisson process), each to one replica. There it needs a permit (`concurrency`); without one it waits in the
queue (`queue`, `queue_wait`), and is turned away with 503 if that is full or takes too long. With a permit it waits for others, and then
computes on one of the cores. All times are in seconds.
"""

import argparse
import asyncio
import collections
import heapq
import json
import os
import random
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Cores:
    """Requests that compute, one on each core, in the order in which they come."""

    def __init__(self, count):
        self.free_at = [0.0] * count

    def compute(self, now, seconds):
        begin = max(now, heapq.heappop(self.free_at))
        heapq.heappush(self.free_at, begin + seconds)
        return begin + seconds


class Replica:
    def __init__(self, cores):
        self.cores = cores
        self.running = set()
        self.queue = collections.deque()
        self.is_up = True


class Fleet:
    """One run of the simulation."""

    def __init__(self, asked, service):
        self.asked, self.service = asked, service
        self.dice = random.Random(asked.seed)
        shared = Cores(asked.cores)
        # Replicas on one machine share its cores.
        self.replicas = [Replica(shared if asked.one_machine else Cores(asked.cores)) for _ in range(asked.replicas)]
        self.events, self.number = [], 0
        self.times, self.shed, self.lost, self.computed = [], 0, 0, 0.0

    def at(self, when, what, *arguments):
        self.number += 1
        heapq.heappush(self.events, (when, self.number, what, arguments))

    def run(self):
        self.at(self.dice.expovariate(self.asked.rate), self.arrive)
        for which, begin, length in self.asked.fail:
            self.at(begin, self.fail, which)
            self.at(begin + length, self.recover, which)
        while self.events:
            now, _, what, arguments = heapq.heappop(self.events)
            what(now, *arguments)

    def arrive(self, now):
        if now < self.asked.seconds:
            self.at(now + self.dice.expovariate(self.asked.rate), self.arrive)
        up = [replica for replica in self.replicas if replica.is_up]
        if not up:
            self.lost += 1
            return
        if self.asked.balance == "random":
            replica = self.dice.choice(up)
        else:
            replica = min(up, key=lambda one: (len(one.running) + len(one.queue), self.dice.random()))
        request = (now, self.number)
        if len(replica.running) < self.asked.permits:
            self.start(now, replica, request)
        elif len(replica.queue) < self.asked.queue:
            replica.queue.append(request)
            self.at(now + self.asked.queue_wait, self.give_up, replica, request)
        else:
            self.shed += 1

    def start(self, now, replica, request):
        replica.running.add(request)
        wait, compute = self.service(self.dice)
        self.at(now + wait, self.compute, replica, request, compute)

    def compute(self, now, replica, request, seconds):
        if request in replica.running:
            self.computed += seconds
            self.at(replica.cores.compute(now, seconds), self.end, replica, request)

    def end(self, now, replica, request):
        if request not in replica.running:
            return
        replica.running.remove(request)
        self.times.append(now - request[0])
        if replica.queue:
            self.start(now, replica, replica.queue.popleft())

    def give_up(self, _, replica, request):
        if request in replica.queue:
            replica.queue.remove(request)
            self.shed += 1

    def fail(self, _, which):
        replica = self.replicas[which]
        self.lost += len(replica.running) + len(replica.queue)
        replica.running, replica.queue, replica.is_up = set(), collections.deque(), False

    def recover(self, _, which):
        self.replicas[which].is_up = True

    def outcome(self):
        cores = self.asked.cores * (1 if self.asked.one_machine else self.asked.replicas)
        return {**summary(self.times, self.shed, self.lost), "busy": self.computed / self.asked.seconds / cores}


def summary(times, shed, lost):
    ordered = sorted(times) or [float("nan")]
    at = lambda share: ordered[min(int(share * len(ordered)), len(ordered) - 1)]
    count = len(times) + shed + lost
    return {"requests": count, "p50": at(0.5), "p99": at(0.99), "shed": shed / count, "lost": lost / count}


def simulated(asked, service):
    fleet = Fleet(asked, service)
    fleet.run()
    return fleet.outcome()


def planned(asked):
    """Times as the operator estimates them; with `--vary` they are exponential, else always the same."""
    draw = (lambda dice, mean: dice.expovariate(1 / mean) if mean else 0.0) if asked.vary else (lambda _, mean: mean)
    return lambda dice: (draw(dice, asked.wait), draw(dice, asked.compute))


def failure(text):
    which, rest = text.split("@")
    begin, length = rest.split("+")
    return int(which), float(begin), float(length)


async def ask(port, statuses, times):
    begun = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        status = int(answer[9:12])
    except (OSError, ValueError, asyncio.TimeoutError):
        status = 0
    statuses[status] += 1
    if status == 200:
        times.append(time.perf_counter() - begun)


async def load(ports, rate, seconds):
    """Requests at random times, whether or not earlier ones have been answered."""
    dice, statuses, times, tasks = random.Random(1), collections.Counter(), [], []
    begun = time.perf_counter()
    due = dice.expovariate(rate)
    while due < seconds:
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(dice.choice(ports), statuses, times)))
        due += dice.expovariate(rate)
    await asyncio.gather(*tasks)
    shed = statuses.pop(503, 0)
    return times, summary(times, shed, sum(statuses.values()) - statuses[200])


def cpu_time(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def start(program, directory, asked):
    with open(f"{directory}/modules.toml", "w", encoding="ascii") as file:
        file.write(f"[limits]\nqueue = {asked.queue}\nqueue_wait = '{asked.queue_wait}s'\n[[module]]\nroute = '/'\n")
        file.write(f"module = '{os.path.abspath(asked.guest)}'\nlimits = {{ concurrency = {asked.permits} }}\n")
    command = [os.path.abspath(program), "-c", "modules.toml", "-l", "127.0.0.1:0", "--access-log", "off"]
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, int(process.stdout.readline().rsplit(":", 1)[1])


def compare(asked):
    """Fits the simulation at a load without queues, and compares both at two loads with them."""
    asked.replicas, asked.one_machine, asked.balance, asked.fail = 2, True, "random", []
    with tempfile.TemporaryDirectory() as directory:
        started = [start(asked.program, directory, asked) for _ in range(2)]
        processes, ports = [process for process, _ in started], [port for _, port in started]
        try:
            before = sum(map(cpu_time, processes))
            times, fitted = asyncio.run(load(ports, asked.fit_rate, asked.seconds))
            compute = (sum(map(cpu_time, processes)) - before) / fitted["requests"]
            print(f"fitted at {asked.fit_rate}/s: p50 {fitted['p50']:.4f} s, of which {compute:.4f} s are CPU time")
            service = lambda dice: (max(dice.choice(times) - compute, 0.0), compute)
            return [one_load(asked, ports, service, rate) for rate in asked.rates]
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def one_load(asked, ports, service, rate):
    asked.rate = rate
    _, real = asyncio.run(load(ports, rate, asked.seconds))
    model = simulated(asked, service)
    off = {key: abs(model[key] - real[key]) / real[key] if real[key] else model[key] for key in ("p99", "shed")}
    print(f"{rate}/s: p99 {real['p99']:.3f} s, simulated {model['p99']:.3f} s ({off['p99']:.0%} off); "
          f"turned away {real['shed']:.1%}, simulated {model['shed']:.1%} ({off['shed']:.0%} off); lost {real['lost']:.1%}")
    return max(off.values()) <= asked.tolerance and real["lost"] == 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="simulate one load, and print what comes of it as JSON")
    run.add_argument("--replicas", type=int, default=2)
    run.add_argument("--rate", type=float, required=True, help="requests a second, of all clients")
    run.add_argument("--wait", type=float, default=0.0, help="how long a guest waits for others")
    run.add_argument("--compute", type=float, default=0.001, help="how long it computes")
    run.add_argument("--vary", action="store_true", help="both vary from request to request, exponentially")
    run.add_argument("--one-machine", action="store_true", help="the replicas share the cores")
    run.add_argument("--balance", choices=["leastconn", "random"], default="leastconn")
    run.add_argument("--fail", type=failure, action="append", default=[], metavar="REPLICA@BEGIN+LENGTH")
    against = commands.add_parser("compare", help="two real replicas against the simulation; exit code 1 if it is too far off")
    against.add_argument("program", help="wagi")
    against.add_argument("--fit-rate", type=float, default=20.0, help="the load at which the times of a request are measured")
    against.add_argument("--rates", type=float, nargs="+", default=[190.0, 260.0], help="the loads that are compared")
    against.add_argument("--guest", default=f"{HERE}/waits.wat", help="the module that both serve")
    against.add_argument("--tolerance", type=float, default=0.2, help="how far the simulation may be off: 0.2 is 20 %%")
    for command, permits, queue in [(run, 64, 256), (against, 8, 16)]:
        command.add_argument("--permits", type=int, default=permits, help="`concurrency`, for each replica")
        command.add_argument("--queue", type=int, default=queue, help="requests that may wait for a permit, for each replica")
        command.add_argument("--queue-wait", type=float, default=1.0)
        command.add_argument("--cores", type=int, default=2 if command is run else os.cpu_count(), help="of each machine")
        command.add_argument("--seconds", type=float, default=60.0 if command is run else 15.0)
        command.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    asked = arguments()
    if asked.command == "run":
        print(json.dumps(simulated(asked, planned(asked))))
    elif not all(compare(asked)):
        sys.exit(1)


if __name__ == "__main__":
    main()
