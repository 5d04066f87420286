"""An event stream: each event is sent when it happens."""
print("Content-Type: text/event-stream\nCache-Control: no-store\n", flush=True)
for step in range(1, 4):
    total = sum(range(step * 100_000))
    print(f"id: {step}\ndata: the sum is {total}\n", flush=True)
