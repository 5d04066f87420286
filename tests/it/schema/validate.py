"""Validates files of TOML against a JSON Schema: validate.py SCHEMA FILE... One line for each: valid, invalid with the first reason, or no TOML."""

import json
import sys
import tomllib

import jsonschema

with open(sys.argv[1], "rb") as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        data = file.read()
    try:
        # As wagi does: without a byte order mark.
        value = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        print(f"{path}\tno TOML\t")
        continue
    errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        where = ".".join(map(str, errors[0].absolute_path))
        print(f"{path}\tinvalid\t{where}: {errors[0].message[:150]}")
    else:
        print(f"{path}\tvalid\t")
