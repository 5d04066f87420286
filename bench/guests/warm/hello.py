import os
import sys

os.path.exists('/.wagi/checkpoint')
print('Content-Type: text/plain\n\nHello')
sys.stdout.flush()
os._exit(0)
