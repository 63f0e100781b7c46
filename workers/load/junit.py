"""The verdict of a run in the form in which CI systems read tests."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET


def junit(result: Mapping[str, Any], name: str) -> str:
    """A test suite of the promises and thresholds of the JSON form of a result."""
    unsent = result["planned"] - result["acknowledged"]
    cases = {
        "everything is acknowledged": [f"{unsent} instances were never acknowledged"] if unsent else [],
        "nothing is missing": [f"{result['missing']} are missing"] if result["missing"] else [],
        "nothing is there twice": [f"{result['duplicated']} are there twice"] if result["duplicated"] else [],
        "bytes are those that were sent": [f"{result['wrong_bytes']} differ"] if result["wrong_bytes"] else [],
        "what was deleted is gone": [f"{result['not_deleted']} are there"] if result["not_deleted"] else [],
        "statistics are the sums": list(result["inconsistencies"]),
        "thresholds are kept": list(result["missed"]),
    }
    if not result["checked"]:
        cases = {name: cases[name] for name in ("everything is acknowledged", "thresholds are kept")}
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(bool(faults) for faults in cases.values())),
        time=f"{result['seconds']:.3f}",
    )
    for case, faults in cases.items():
        element = ET.SubElement(suite, "testcase", classname="orthanc-cluster load", name=case)
        if faults:
            failure = ET.SubElement(element, "failure", message=faults[0])
            failure.text = "\n".join([*faults, *result["examples"]])
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
