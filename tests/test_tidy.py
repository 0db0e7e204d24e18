"""The rules of the house that a machine can check: direction of imports, purity of the engine, size of files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Who may import whom: each layer sees itself and those before it.
LAYERS = ("models", "pipeline.engine", "pipeline", "agents")
# What would let time, chance or the outside world into a decision.
IMPURE = {
    "asyncio", "time", "random", "secrets", "uuid", "logging", "os", "sys", "socket", "threading", "subprocess", "io",
    "pathlib", "structlog", "prometheus_client", "aiokafka", "faust", "mode", "rocksdict", "httpx", "requests",
}  # fmt: skip
LINES_MAX = 400
FUNCTION_LINES_MAX = 60


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node.lineno


def layer_of(module: str) -> int | None:
    found = [rank for rank, layer in enumerate(LAYERS) if module == layer or module.startswith(layer + ".")]
    return found[-1] if module.startswith("agents") else min(found, default=None)


def wrong_way(module: str, imported: str) -> bool:
    mine, theirs = layer_of(module), layer_of(imported)
    return mine is not None and theirs is not None and theirs > mine


def test_the_tidy_rules_see_a_planted_import_the_wrong_way() -> None:
    assert wrong_way("pipeline.engine.step", "pipeline.store.rocks")
    assert wrong_way("models.event", "pipeline.engine.plan")
    assert wrong_way("pipeline.runtime.embedded", "agents.metrics")
    assert not wrong_way("agents.cli.main", "pipeline.runtime.embedded")
    assert not wrong_way("pipeline.runtime.partition", "pipeline.engine.api")


@pytest.mark.parametrize("path", sources("models", "pipeline", "agents"), ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    module = module_of(path)
    found = [
        f"line {line}: {module} imports {name}"
        for name, line in imports_of(ast.parse(path.read_text()))
        if wrong_way(module, name)
    ]
    assert found == []


@pytest.mark.parametrize("path", sources("models", "pipeline/engine"), ids=module_of)
def test_models_and_engine_are_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    found = [f"line {line}: imports {name}" for name, line in imports_of(tree) if name.split(".")[0] in IMPURE]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in {"hash", "open", "print", "input"}:
                found.append(f"line {node.lineno}: calls {node.func.id}()")
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
            # datetime.now and its like; a record's own field `now` is log time.
            if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}:
                found.append(f"line {node.lineno}: reads the host's clock")
    assert found == []


@pytest.mark.parametrize("path", sources("pipeline/engine"), ids=module_of)
def test_the_engine_iterates_no_set(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        iterated = [node.iter] if isinstance(node, ast.For) else []
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp):
            iterated += [part.iter for part in node.generators]
        for target in iterated:
            is_call = isinstance(target, ast.Call) and isinstance(target.func, ast.Name)
            if isinstance(target, ast.Set | ast.SetComp) or (is_call and target.func.id in {"set", "frozenset"}):
                found.append(f"line {target.lineno}: iterates a set")
    assert found == []


@pytest.mark.parametrize("path", sources("models", "pipeline", "agents"), ids=module_of)
def test_files_and_functions_keep_to_one_subject(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert lines <= LINES_MAX, f"{lines} lines: more than one subject?"
    assert long == []


def text_files() -> list[Path]:
    skip = {".git", ".venv", ".cache", ".parcours", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".html", ".json", ".lark", ".css", ".js", ".cfg", ""}
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and path.suffix in kinds and not skip & set(path.relative_to(ROOT).parts)
    )


def test_no_file_names_a_registry_host_or_a_path_of_one_machine() -> None:
    hosts = re.compile(r"pypi\.org|pythonhosted|repo1?\.maven|registry\.npmjs|deb\.debian|/root/|/home/\w+/|/work/")
    found = []
    for path in text_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if hosts.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_every_pinned_dependency_has_a_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        blocks = re.split(r"\n(?=[a-z0-9])", lock.read_text())
        bare = [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
        assert bare == [], lock.name
