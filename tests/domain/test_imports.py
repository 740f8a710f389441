"""What the dependency contracts can't see: they take an external package as one module."""

import ast
import sys
from pathlib import Path

ALLOWED = {"eventsourcing.domain"}
SOURCES = sorted((Path(__file__).parents[2] / "domain").glob("*.py"))


def test_the_domain_imports_the_standard_library_and_eventsourcing_domain_alone() -> None:
    imported = {
        name
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else _names(node))
    }
    foreign = {name for name in imported if name.split(".")[0] not in {*sys.stdlib_module_names, "domain"}}
    assert foreign == ALLOWED


def _names(node: ast.AST) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
