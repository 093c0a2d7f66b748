import numpy as np
import onnx

from blemish.engine.graph.sessions import open_session
from blemish.engine.graph.writer import MIN_OPSET, GraphWriter


def test_a_default_may_be_overridden() -> None:
    graph = GraphWriter()
    value = graph.input("value", np.float32, ())
    limit = graph.input_with_default("limit", np.array(2.0, dtype=np.float32))
    graph.add("GreaterOrEqual", value, limit, output="above")
    graph.output("above", np.bool_, ())
    session = open_session(graph.model().SerializeToString(), threads=1)
    three, four = np.array(3.0, np.float32), np.array(4.0, np.float32)

    assert session.run(None, {"value": three})[0]
    assert not session.run(None, {"value": three, "limit": four})[0]


def test_the_largest_values_come_first() -> None:
    graph = GraphWriter()
    values = graph.input("values", np.float32, (5,))
    graph.add("Identity", graph.add_top(values, 2), output="top")
    graph.output("top", np.float32, (2,))
    session = open_session(graph.model().SerializeToString(), threads=1)

    top = session.run(None, {"values": np.array([1, 9, 3, 7, 5], np.float32)})[0]

    assert top.tolist() == [9, 7]


def test_an_adopted_model_keeps_its_operator_set_and_gives_way_with_its_names() -> None:
    inner = GraphWriter()
    inner.add("Relu", inner.input("x", np.float32, (2,)), output="y")
    inner.output("y", np.float32, (2,))
    model = inner.model()
    model.opset_import[0].version = MIN_OPSET + 2
    outer = GraphWriter()
    outer.add("Neg", outer.input("x", np.float32, (2,)), output="inner/x")

    outer.adopt(model, prefix="inner/")

    outer.add("Identity", "inner/y", output="y")
    outer.output("y", np.float32, (2,))
    onnx.checker.check_model(outer.model(), full_check=True)
    assert outer.model().opset_import[0].version == MIN_OPSET + 2
    session = open_session(outer.model().SerializeToString(), threads=1)
    assert session.run(None, {"x": np.array([1, -2], np.float32)})[0].tolist() == [0, 2]
