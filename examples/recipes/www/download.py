"""A table as a file that browsers save."""
import csv
import sys

print("Content-Type: text/csv; charset=utf-8")
print('Content-Disposition: attachment; filename="numbers.csv"\n')
table = csv.writer(sys.stdout, lineterminator="\n")
table.writerow(["number", "square"])
table.writerows([number, number * number] for number in range(1, 4))
