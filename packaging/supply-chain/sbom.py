#!/usr/bin/env python3
"""The bill of materials of the program, as CycloneDX 1.6 in JSON, from what cargo knows of its crates.

    python3 packaging/supply-chain/sbom.py > target/wagi.cdx.json

In it are the crates that a build with the default features links on this platform, with their licences and the checksums of Cargo.lock, and
which needs which. The same sources give the same bytes. `--features` and `--target` are those of cargo.
"""

import argparse
import json
import os
import subprocess
import tomllib
import uuid

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def metadata(asked):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", asked.target]
    if asked.features:
        command += ["--features", asked.features]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    return json.loads(printed)


def host():
    printed = subprocess.run(["rustc", "--version", "--verbose"], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in printed.splitlines() if line.startswith("host:"))


def linked(graph):
    """The packages that end up in the program or build it, and what each needs: not what only tests need."""
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    root = next(package["id"] for package in graph["packages"] if package["name"] == "wagi")
    needs, open_ids = {}, [root]
    while open_ids:
        package = open_ids.pop()
        if package in needs:
            continue
        kinds = ((dependency["pkg"], dependency["dep_kinds"]) for dependency in nodes[package]["deps"])
        needs[package] = sorted({id for id, how in kinds if any(kind["kind"] != "dev" for kind in how)})
        open_ids += needs[package]
    return root, needs


def checksums():
    with open(f"{ROOT}/Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    return {(package["name"], package["version"]): package.get("checksum") for package in locked}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def component(package, sums):
    found = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        # Old crates write a slash where SPDX has `OR`.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ").replace("  ", " ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def bill(graph):
    packages = {package["id"]: package for package in graph["packages"]}
    root, needs = linked(graph)
    sums = checksums()
    components = sorted((component(packages[id], sums) for id in needs if id != root), key=lambda one: one["bom-ref"])
    dependencies = [{"ref": purl(packages[id]), "dependsOn": sorted(purl(packages[one]) for one in needs[id])} for id in needs]
    subject = {**component(packages[root], sums), "type": "application"}
    # Without a time and with a number that follows from the content, the same sources give the same bytes.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([subject, components]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": sorted(dependencies, key=lambda one: one["ref"]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", help="features besides the default ones")
    parser.add_argument("--target", default=None, help="the platform [default: this one]")
    asked = parser.parse_args()
    asked.target = asked.target or host()
    print(json.dumps(bill(metadata(asked)), indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
