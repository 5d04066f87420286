import os

os.path.exists('/.wagi/checkpoint')
print('Content-Type: text/plain\n\nHello')
