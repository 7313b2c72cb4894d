"""Marginals of a fitted mbi model by numpy, for peer_aim.py: the same numbers without a compilation for each.

The model is calibrated once; a marginal outside of its cliques comes from the part of the junction tree that holds the
columns, leaves first, each of whose messages keeps what is asked for.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
from mbi import Factor, MarkovRandomField, junction_tree, marginal_oracles

_CALIBRATED: dict[int, tuple[Any, nx.Graph, dict[Any, Any]]] = {}


def project(model: MarkovRandomField, attrs: str | Sequence[str]) -> Factor:
    """Returns the model's marginal, as `MarkovRandomField.project` does."""
    wanted = (attrs,) if isinstance(attrs, str) else tuple(attrs)
    tree, values = _calibrated(model)
    for clique, marginal in values.items():
        if set(wanted) <= set(clique):
            return _factor(model, wanted, _einsum([(clique, marginal)], wanted))
    tree = tree.copy()
    changed = True
    while changed:
        changed = False
        for node in list(tree):
            if tree.degree(node) == 1:
                (other,) = tree[node]
                if set(wanted) & set(node) <= set(other):
                    tree.remove_node(node)
                    changed = True
            elif tree.degree(node) == 0 and len(tree) > 1 and not set(wanted) & set(node):
                tree.remove_node(node)
                changed = True
    parts = []
    for component in nx.connected_components(tree):
        root = next(iter(component))
        inner = tuple(a for a in wanted if any(a in node for node in component))
        parts.append((inner, _collect(tree, values, root, None, set(wanted), inner)))
    total = float(model.total)
    scaled = [(inner, part if i == 0 else part / total) for i, (inner, part) in enumerate(parts)]
    return _factor(model, wanted, _einsum(scaled, wanted))


def _collect(
    tree: nx.Graph, values: dict[Any, Any], node: Any, parent: Any, wanted: set[str], keep: Sequence[str]
) -> Any:
    factors = [(node, values[node])]
    for child in tree[node]:
        if child == parent:
            continue
        shared = tuple(a for a in child if a in node)
        below = _below(tree, child, node)
        out = (*shared, *sorted(a for a in wanted if a in below and a not in shared))
        message = _collect(tree, values, child, node, wanted, out)
        whole = _einsum([(child, values[child])], shared)
        shape = whole.shape + (1,) * (message.ndim - whole.ndim)
        ratio = np.divide(
            message,
            whole.reshape(shape),
            out=np.zeros_like(message),
            where=np.broadcast_to(whole.reshape(shape) > 0, message.shape),
        )
        factors.append((out, ratio))
    return _einsum(factors, keep)


def _below(tree: nx.Graph, child: Any, parent: Any) -> set[str]:
    found = set(child)
    for other in tree[child]:
        if other != parent:
            found |= _below(tree, other, child)
    return found


def _einsum(factors: Sequence[tuple[Sequence[str], Any]], out: Sequence[str]) -> Any:
    names: dict[str, int] = {}
    operands: list[Any] = []
    for attributes, values in factors:
        operands += [values, [names.setdefault(a, len(names)) for a in attributes]]
    return np.einsum(*operands, [names[a] for a in out], optimize=len(factors) > 1)


def _factor(model: MarkovRandomField, wanted: tuple[str, ...], values: Any) -> Factor:
    return Factor(model.domain.project(wanted), np.ascontiguousarray(values))


def _calibrated(model: MarkovRandomField) -> tuple[nx.Graph, dict[Any, Any]]:
    held = _CALIBRATED.get(id(model))
    if held is None or held[0]() is not model:
        _CALIBRATED.clear()
        tree, _ = junction_tree.make_junction_tree(model.domain, model.cliques)
        maximal = junction_tree.maximal_cliques(tree)
        graph = nx.Graph()
        graph.add_nodes_from(maximal)
        # A maximum spanning tree of what cliques share is a junction tree of them.
        for i, left in enumerate(maximal):
            for right in maximal[:i]:
                if set(left) & set(right):
                    graph.add_edge(left, right, weight=len(set(left) & set(right)))
        calibrated = marginal_oracles.message_passing_stable(model.potentials.expand(maximal), model.total)
        values = {c: np.asarray(calibrated.project(c).values, dtype=np.float64) for c in maximal}
        held = (weakref.ref(model), nx.maximum_spanning_tree(graph), values)
        _CALIBRATED[id(model)] = held
    return held[1], held[2]
