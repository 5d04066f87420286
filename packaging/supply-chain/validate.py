"""Whether a bill of materials on standard input is valid CycloneDX, as the library of CycloneDX for Python sees it."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
if problem:
    sys.exit(f"error: {problem}")
print("valid")
