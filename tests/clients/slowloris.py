"""Many connections to one loopback port, each of which sends one byte every five seconds, and comes back five seconds
after it was thrown out.

    slowloris.py PORT CONNECTIONS NETWORKS clear|tls

Each network is one address of 127.1.0.0/16. Says `ready` when all have come once, and ends when its standard input
does, or after three minutes. What it sends never makes a command, or a ClientHello.
"""

import errno
import os
import resource
import select
import socket
import sys
import time

PAUSE = 5.0
LIFETIME = 180.0


def main():
    port, connections, networks = (int(word) for word in sys.argv[1:4])
    words = {"clear": b"a" * 40, "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(29)}[sys.argv[4]]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(port, networks, words)
    end = time.monotonic() + LIFETIME
    said = False
    while time.monotonic() < end:
        crowd.fill(connections, at_most=500)
        crowd.work()
        if not said and crowd.came() >= connections:
            said = True
            print("ready", flush=True)
        if select.select([sys.stdin], [], [], 0)[0] and not os.read(0, 1024):
            return


class Crowd:
    def __init__(self, port, networks, words):
        self.port = port
        self.networks = networks
        self.words = words
        self.number = 0
        self.open = {}
        self.away = []
        self.poll = select.epoll()

    def came(self):
        return self.number

    def fill(self, wanted, at_most):
        now = time.monotonic()
        self.away = [back for back in self.away if back > now]
        for _ in range(min(at_most, wanted - len(self.open) - len(self.away))):
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            one.setblocking(False)
            network = self.number % self.networks
            self.number += 1
            one.bind(("127.1.%d.%d" % (network // 250, network % 250 + 1), 0))
            if one.connect_ex(("127.0.0.1", self.port)) not in (0, errno.EINPROGRESS):
                one.close()
                return
            # Spread over the pause, so that bytes come all the time.
            first = time.monotonic() + PAUSE * (self.number % 100) / 100
            self.open[one.fileno()] = [one, first, 0]
            self.poll.register(one.fileno(), select.EPOLLIN | select.EPOLLRDHUP)

    def work(self):
        for number, _ in self.poll.poll(0.05):
            one = self.open[number][0]
            try:
                if not one.recv(65536):
                    self.drop(number)
            except BlockingIOError:
                pass
            except OSError:
                self.drop(number)
        now = time.monotonic()
        for number, entry in list(self.open.items()):
            if entry[1] > now:
                continue
            entry[1] = now + PAUSE
            try:
                entry[0].send(self.words[entry[2] : entry[2] + 1])
                entry[2] += 1
            except BlockingIOError:
                pass
            except OSError:
                self.drop(number)

    def drop(self, number):
        self.poll.unregister(number)
        self.open.pop(number)[0].close()
        self.away.append(time.monotonic() + PAUSE)


main()
