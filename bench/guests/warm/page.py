import os
import sys

os.path.exists('/.wagi/checkpoint')


def work():
    total = 0
    for i in range(60000):
        total = (total * 31 + i) % 1000003
    return total


print('Content-Type: text/plain\n')
print(work())
sys.stdout.flush()
os._exit(0)
