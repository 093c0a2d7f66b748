from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from itertools import count
from threading import Event, Thread, current_thread, main_thread
from time import monotonic, sleep
from typing import Any
from weakref import ref

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from blemish.api.service_model import service_model
from blemish.domain.errors import (
    AccessDeniedError,
    ConflictError,
    InternalServerError,
    ResourceType,
    ValidationError,
)
from blemish.wire.calls import Call
from blemish.wire.dispatch import Dispatcher
from blemish.wire.request_body import HARD_STOP, SMALL_BYTES, BodyMemory
from blemish.wire.rest_json_service import rest_json_dispatcher
from blemish.wire.signature import Caller
from tests.asgi_client import (
    ENDPOINT,
    KEY_ID,
    PRINCIPAL,
    SECRET,
    Answer,
    ask,
    ask_among_others,
    boto3_client,
    converse,
    signer,
)

PROJECTS = "/2020-11-20/projects"
LIMIT = 1_000
PATIENCE_S = 60
MODEL = service_model()


class Projects:
    """Two of the operations."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def create_project(self, *, project_name: str, client_token: str = "") -> dict[str, Any]:
        assert current_thread() is not main_thread()
        if project_name in self.made:
            raise ConflictError(
                "It exists.", resource_type=ResourceType.PROJECT, resource_id=project_name
            )
        if project_name == "broken":
            raise RuntimeError(f"a secret of ours about {project_name} {client_token}")
        self.made.append(project_name)
        return {"ProjectMetadata": {"ProjectName": project_name}}

    def list_projects(self, **_: Any) -> dict[str, Any]:
        return {"Projects": [{"ProjectName": name} for name in self.made]}


@pytest.fixture
def projects() -> Projects:
    return Projects()


@pytest.fixture
def app(projects: Projects) -> Dispatcher:
    return dispatcher(projects)


def dispatcher(handlers: object, **options: Any) -> Dispatcher:
    return rest_json_dispatcher(
        MODEL,
        [handlers],
        signer=signer,
        clock=lambda: datetime.now(UTC),
        request_ids=map("request-{}".format, count()).__next__,
        **{"max_body_bytes": lambda _: LIMIT} | options,
    )


def signed(method: str, path: str, body: bytes) -> dict[str, str]:
    request = AWSRequest(method=method, url=ENDPOINT + path, data=body)
    SigV4Auth(Credentials(KEY_ID, SECRET), "lookoutvision", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def create(app: Dispatcher, body: bytes) -> Answer:
    return ask(app, "POST", PROJECTS, headers=signed("POST", PROJECTS, body), body=body)


def test_an_answer_has_a_request_id_a_length_and_a_type(app: Dispatcher) -> None:
    answer = create(app, b'{"ProjectName": "circuits"}')

    assert answer == Answer(
        200,
        {
            "content-type": "application/json",
            "content-length": str(len(answer.body)),
            "x-amzn-requestid": "request-0",
        },
        b'{"ProjectMetadata":{"ProjectName":"circuits"}}',
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("OPTIONS", "*"), ("PUT", PROJECTS), ("POST", "/2020-11-20/projects/a/models")],
)
def test_what_is_not_offered_is_unknown(app: Dispatcher, method: str, path: str) -> None:
    answer = ask(app, method, path)

    assert answer.status == 404
    assert answer.headers["x-amzn-errortype"] == "UnknownOperationException"
    assert answer.headers["x-amzn-requestid"] == "request-0"
    assert json.loads(answer.body)["Message"]


def test_a_head_request_gets_headers_alone(app: Dispatcher) -> None:
    answer = ask(app, "HEAD", PROJECTS)

    assert (answer.status, answer.body) == (404, b"")


def test_who_did_not_sign_learns_nothing_of_what_is_wrong_with_the_request(
    app: Dispatcher, projects: Projects
) -> None:
    answer = ask(app, "POST", PROJECTS, body=b"{")

    assert answer.status == 403
    assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert projects.made == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "SerializationException"),
        (b"{}", "ValidationException"),
        (b'{"ProjectName": ".."}', "ValidationException"),
        (b'{"ProjectName": "' + b"a" * LIMIT + b'"}', "ValidationException"),
    ],
)
def test_a_bad_request_never_reaches_the_handler(
    app: Dispatcher, projects: Projects, body: bytes, error: str
) -> None:
    answer = create(app, body)

    assert answer.status == 400
    assert answer.headers["x-amzn-errortype"] == error
    assert projects.made == []


def test_a_body_at_the_limit_is_read(app: Dispatcher, projects: Projects) -> None:
    body = b'{"ProjectName": "circuits"}'.ljust(LIMIT)

    assert create(app, body).status == 200
    assert projects.made == ["circuits"]


def test_a_body_over_the_limit_is_answered_with_both_sizes(app: Dispatcher) -> None:
    answer = create(app, b" " * (LIMIT + 1))

    message = json.loads(answer.body)["Message"]
    assert f"has {LIMIT + 1} bytes" in message
    assert f"at most {LIMIT} bytes" in message


def test_a_body_over_the_limit_needs_a_signature_too(app: Dispatcher) -> None:
    headers = signed("POST", PROJECTS, b"another")

    answer = ask(app, "POST", PROJECTS, headers=headers, body=b" " * (LIMIT + 1))

    assert answer.headers["x-amzn-errortype"] == "InvalidSignatureException"


@pytest.mark.parametrize("headers", [{}, {"content-length": str(HARD_STOP * LIMIT + 1)}])
def test_a_body_far_over_the_limit_ends_the_connection(
    app: Dispatcher, headers: dict[str, str]
) -> None:
    body = b" " * (HARD_STOP * LIMIT + 1)

    answer = ask(app, "POST", PROJECTS, headers=headers | signed("POST", PROJECTS, body), body=body)

    assert answer.status == 413
    assert answer.headers["connection"] == "close"


def test_a_repeated_header_is_signed_as_one(app: Dispatcher) -> None:
    request = AWSRequest(method="GET", url=ENDPOINT + PROJECTS, headers={"X-Custom": "a,b  c"})
    SigV4Auth(Credentials(KEY_ID, SECRET), "lookoutvision", "eu-west-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    del headers["x-custom"]
    pairs = [(b"host", b"blemish.test"), (b"X-Custom", b" a "), (b"x-custom", b"b c")]
    pairs += [(name.encode(), value.encode()) for name, value in headers.items()]

    answer = converse(app, scope(PROJECTS, headers=pairs), [{"type": "http.request"}])

    assert answer.status == 200


def test_a_client_that_hangs_up_is_no_error(app: Dispatcher) -> None:
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    with capture_logs() as logged:
        answer = converse(app, signed_scope(), messages)

    assert answer.status == 0
    assert logged == []


def test_a_fault_of_ours_is_logged_and_not_told(app: Dispatcher) -> None:
    with capture_logs([merge_contextvars, format_exc_info]) as logged:
        answer = create(app, b'{"ProjectName": "broken"}')

    assert answer.status == 500
    assert answer.headers["x-amzn-errortype"] == "InternalServerException"
    assert b"secret" not in answer.body
    assert "request-0" in json.loads(answer.body)["Message"]
    [line] = logged
    assert (line["log_level"], line["request_id"]) == ("error", "request-0")
    assert "a secret of ours about broken" in line["exception"]


def test_of_a_fault_that_may_be_told_the_client_learns_what_it_is(projects: Projects) -> None:
    app = dispatcher(projects, error_messages={RuntimeError: "The disk is full."})

    answer = create(app, b'{"ProjectName": "broken"}')

    assert answer.status == 500
    assert json.loads(answer.body)["Message"] == "The disk is full. Request id: request-0"


def test_a_fault_that_others_log_is_not_logged_again(projects: Projects) -> None:
    app = dispatcher(projects, logged_errors=(RuntimeError,))

    with capture_logs() as logged:
        answer = create(app, b'{"ProjectName": "broken"}')

    assert answer.status == 500
    assert logged == []


def test_an_error_of_the_domain_is_no_fault(app: Dispatcher) -> None:
    create(app, b'{"ProjectName": "circuits"}')

    with capture_logs() as logged:
        answer = create(app, b'{"ProjectName": "circuits"}')

    assert answer.status == 409
    assert logged == []


def test_an_operation_that_is_not_offered_is_unknown_to_boto3(app: Dispatcher) -> None:
    client = boto3_client(app)

    with pytest.raises(client.exceptions.ClientError, match="UnknownOperationException"):
        client.list_model_packaging_jobs(ProjectName="circuits")


def test_a_handler_that_lacks_a_member_is_found_when_it_is_put_together() -> None:
    class Lacking:
        def list_projects(self, *, next_token: str = "") -> str:
            return next_token

    class Demanding:
        def list_projects(self, *, next_token: str, max_results: int) -> str:
            return next_token * max_results

    for handlers in (Lacking(), Demanding()):
        with pytest.raises(TypeError):
            dispatcher(handlers)


class Waiting:
    """Lists nothing, once it may."""

    def __init__(self) -> None:
        self.entered = Event()
        self.may_go_on = Event()

    def list_projects(self, **_: Any) -> dict[str, Any]:
        self.entered.set()
        assert self.may_go_on.wait(10)
        return {"Projects": []}


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    handlers = Waiting()
    yield handlers
    handlers.may_go_on.set()


def test_a_slow_handler_holds_up_nobody_else(waiting: Waiting, app: Dispatcher) -> None:
    slow = boto3_client(dispatcher(waiting))
    thread = Thread(target=slow.list_projects)

    thread.start()
    assert waiting.entered.wait(10)
    meanwhile = create(app, b'{"ProjectName": "circuits"}')
    waiting.may_go_on.set()
    thread.join(10)

    assert meanwhile.status == 200
    assert not thread.is_alive()


class Queueing:
    """Has some of its answers wait for a future, and lists meanwhile."""

    def __init__(self) -> None:
        self.turns: list[asyncio.Future[dict[str, Any]]] = []

    async def describe_project(self, **_: Any) -> dict[str, Any]:
        turn = asyncio.get_running_loop().create_future()
        self.turns.append(turn)
        answer: dict[str, Any] = await turn
        return answer

    def list_projects(self, **_: Any) -> dict[str, Any]:
        return {"Projects": [{"ProjectName": f"after {len(self.turns)}"}]}


def test_answers_that_wait_for_their_turn_hold_no_thread() -> None:
    handlers, calls = Queueing(), list[Call]()
    app = dispatcher(handlers, worker_threads=1, observers=[calls.append])

    def get(path: str) -> Coroutine[Any, Any, Answer]:
        return ask_among_others(app, "GET", path, headers=signed("GET", path, b""))

    async def converse_all() -> list[Answer]:
        described = [asyncio.create_task(get(f"{PROJECTS}/circuits")) for _ in range(3)]
        async with asyncio.timeout(10):
            while len(handlers.turns) < 3:
                await asyncio.sleep(0.01)
        listed = await get(PROJECTS)
        handlers.turns[0].set_result({"ProjectDescription": {"ProjectName": "circuits"}})
        handlers.turns[1].set_exception(AccessDeniedError("No."))
        handlers.turns[2].set_exception(RuntimeError("a secret of ours"))
        return [listed, *await asyncio.gather(*described)]

    listed, *described = asyncio.run(converse_all())

    assert json.loads(listed.body) == {"Projects": [{"ProjectName": "after 3"}]}
    assert [answer.status for answer in described] == [200, 403, 500]
    assert json.loads(described[0].body) == {"ProjectDescription": {"ProjectName": "circuits"}}
    told = {call.status: call.answer for call in calls}
    assert told[200] == {"ProjectDescription": {"ProjectName": "circuits"}}


def test_operations_that_are_apart_wait_behind_no_other(waiting: Waiting) -> None:
    class Apart:
        list_projects = waiting.list_projects

        async def describe_project(self, *, project_name: str) -> dict[str, Any]:
            return {"ProjectDescription": {"ProjectName": project_name}}

    app = dispatcher(Apart(), worker_threads=1, dedicated=[{"DescribeProject"}])

    def get(path: str) -> Coroutine[Any, Any, Answer]:
        return ask_among_others(app, "GET", path, headers=signed("GET", path, b""))

    async def converse_all() -> tuple[int, list[int]]:
        listed = [asyncio.create_task(get(PROJECTS)) for _ in range(2)]
        async with asyncio.timeout(10):
            while not app.waiting:
                await asyncio.sleep(0.01)
        described = await get(f"{PROJECTS}/circuits")
        within_it = await app.invoke(within("DescribeProject", ProjectName="circuits"))
        assert within_it["ProjectDescription"]["ProjectName"] == "circuits"
        assert (app.waiting, waiting.may_go_on.is_set()) == (1, False)
        waiting.may_go_on.set()
        return described.status, [answer.status for answer in await asyncio.gather(*listed)]

    assert asyncio.run(converse_all()) == (200, [200, 200])


def test_a_body_that_there_is_no_room_for_is_refused(projects: Projects) -> None:
    large = SMALL_BYTES + 1
    memory = BodyMemory(0, patience_s=0.01)
    app = dispatcher(projects, body_memory=memory, max_body_bytes=lambda _: large)

    refused = create(app, b'{"ProjectName": "circuits"}'.ljust(large))

    assert refused.status == 429
    assert refused.headers["x-amzn-errortype"] == "ThrottlingException"
    assert refused.headers["retry-after"] == "1"
    assert create(app, b'{"ProjectName": "circuits"}').status == 200


def test_a_client_that_sends_nothing_more_leaves_its_room_to_others(projects: Projects) -> None:
    large = SMALL_BYTES + 1
    memory = BodyMemory(large)
    app = dispatcher(projects, body_memory=memory, max_body_bytes=lambda _: large, idle_s=0.01)
    begun = {"type": "http.request", "body": b"a", "more_body": True}
    chunked = signed_scope((b"transfer-encoding", b"chunked"))

    answers = [converse(app, chunked, [begun]) for _ in range(2)]

    for answer in answers:
        assert answer.status == 400
        assert answer.headers["x-amzn-errortype"] == "RequestTimeoutException"
        assert answer.headers["connection"] == "close"


def test_the_wire_imports_no_client() -> None:
    program = (
        "import sys, blemish.wire.dispatch;"
        "print([name for name in ('boto3', 'numpy', 'sqlalchemy') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.decode().strip() == "[]"


def scope(
    path: str, *, method: str = "GET", headers: list[tuple[bytes, bytes]] | None = None
) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers or [],
    }


def signed_scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Return the scope of a POST whose signature may be right, as its body will show."""
    pairs = signed("POST", PROJECTS, b"").items()
    sent = [(name.lower().encode(), value.encode()) for name, value in pairs]
    host = (b"host", b"blemish.test")
    return scope(PROJECTS, method="POST", headers=[host, *sent, *headers])


def test_a_call_passes_every_gate_before_its_members_are_checked(projects: Projects) -> None:
    passed: list[tuple[str, Any]] = []

    def refuse(call: Call) -> None:
        passed.append((call.operation or "", call.members))
        raise AccessDeniedError("No.")

    app = dispatcher(projects, gates=[lambda call: passed.append(("first", call.caller)), refuse])

    answer = create(app, b'{"ProjectName": "not a name"}')

    assert answer.status == 403
    assert projects.made == []
    caller = Caller(principal=PRINCIPAL, region="eu-west-1", service="lookoutvision")
    assert passed == [("first", caller), ("CreateProject", {"ProjectName": "not a name"})]


def test_observers_are_told_how_a_call_ended(projects: Projects) -> None:
    calls: list[Call] = []
    app = dispatcher(projects, observers=[calls.append])

    create(app, b'{"ProjectName": "circuits"}')
    create(app, b'{"ProjectName": "circuits"}')
    create(app, b'{"ProjectName": "broken"}')
    ask(app, "GET", "/nowhere", headers={"User-Agent": "a browser"})

    assert [(call.request_id, call.operation, call.status) for call in calls] == [
        ("request-0", "CreateProject", 200),
        ("request-1", "CreateProject", 409),
        ("request-2", "CreateProject", 500),
        ("request-3", None, 404),
    ]
    assert calls[0].answer == {"ProjectMetadata": {"ProjectName": "circuits"}}
    assert [type(call.error) for call in calls[:2]] == [type(None), ConflictError]
    assert str(calls[2].error) == "The server failed. Request id: request-2"
    assert all(call.duration_s is not None for call in calls)
    assert calls[3].user_agent == "a browser"


class CauseError(Exception):
    """Comes from its own effect."""


class CircularProjects(Projects):
    def create_project(self, **_: Any) -> dict[str, Any]:
        cause, effect = CauseError("the cause"), RuntimeError("the effect")
        cause.__cause__, effect.__cause__ = effect, cause
        raise effect


def test_an_error_whose_cause_comes_from_it_is_answered() -> None:
    app = dispatcher(CircularProjects())

    assert create(app, b'{"ProjectName": "demo"}').status == 500


def test_a_request_is_forgotten_with_its_answer_whatever_it_was(projects: Projects) -> None:
    calls: list[ref[Call]] = []
    app = dispatcher(projects, observers=[lambda call: calls.append(ref(call))])

    gc.disable()
    try:
        for body in (b'{"ProjectName": "circuits"}', b"{", b'{"ProjectName": "broken"}'):
            create(app, body)
        create(app, bytes(LIMIT + 1))
        ask(app, "GET", "/nowhere")
        deadline = monotonic() + PATIENCE_S
        while any(call() for call in calls) and monotonic() < deadline:
            sleep(0.01)  # a worker thread holds the last one for a moment
        left = [call() for call in calls]
    finally:
        gc.enable()

    assert left == [None] * 5


@pytest.mark.parametrize("name", ["circuits", "broken"])
def test_a_call_from_inside_that_fails_is_forgotten_with_its_error(
    projects: Projects, name: str
) -> None:
    projects.made.append("circuits")
    calls: list[ref[Call]] = []
    app = dispatcher(projects, observers=[lambda call: calls.append(ref(call))])

    async def invoke() -> list[Call | None]:
        call = Call(
            request_id="request-0",
            received_at=datetime.now(UTC),
            source_ip=None,
            user_agent=None,
            operation="CreateProject",
            members={"ProjectName": name},
        )
        with pytest.raises((ConflictError, InternalServerError)):
            await app.invoke(call)
        del call
        deadline = monotonic() + PATIENCE_S
        while calls[0]() and monotonic() < deadline:
            await asyncio.sleep(0.01)  # a worker thread holds it for a moment
        return [call() for call in calls]

    gc.disable()
    try:
        left = asyncio.run(invoke())
    finally:
        gc.enable()

    assert left == [None]


def test_an_observer_that_fails_costs_neither_the_answer_nor_the_other_observers(
    projects: Projects,
) -> None:
    calls: list[Call] = []

    def fail(call: Call) -> None:
        raise ZeroDivisionError(call.request_id)

    app = dispatcher(projects, observers=[fail, calls.append])

    with capture_logs() as logged:
        answer = create(app, b'{"ProjectName": "circuits"}')

    assert answer.status == 200
    assert [call.status for call in calls] == [200]
    assert [line["event"] for line in logged] == ["a call could not be kept account of"]


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_a_call_knows_whether_it_came_by_tls(scheme: str, *, secure: bool) -> None:
    calls: list[Call] = []
    app = dispatcher(Projects(), observers=[calls.append])
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": scheme,
        "raw_path": b"/",
        "query_string": b"",
        "headers": [],
    }

    converse(app, scope, [{"type": "http.request", "body": b""}])

    assert [call.secure for call in calls] == [secure]


def test_observers_are_told_of_a_client_that_hung_up() -> None:
    calls: list[Call] = []
    app = dispatcher(Projects(), observers=[calls.append])
    scope = signed_scope() | {"client": ("192.0.2.7", 50_000)}

    answer = converse(app, scope, [{"type": "http.disconnect"}])

    assert answer.status == 0
    assert [(call.status, call.source_ip) for call in calls] == [(None, "192.0.2.7")]


def test_a_handler_gets_the_call_if_it_asks_for_it() -> None:
    class Asking:
        def delete_project(self, *, call: Call, **members: Any) -> dict[str, Any]:
            assert call.caller is not None
            return {"ProjectArn": f"{members['project_name']} by {call.caller.principal.name}"}

    client = boto3_client(dispatcher(Asking()))

    answer = client.delete_project(ProjectName="circuits")

    assert answer["ProjectArn"] == "circuits by tester"


def within(operation: str, **members: Any) -> Call:
    """Return a call as one who is in this process makes it."""
    return Call(
        request_id="within",
        received_at=datetime.now(UTC),
        source_ip="127.0.0.1",
        user_agent=None,
        operation=operation,
        caller=Caller(principal=PRINCIPAL, region="eu-west-1", service="lookoutvision"),
        members=members,
    )


def test_who_is_in_the_process_gets_members_and_is_kept_account_of(projects: Projects) -> None:
    seen: list[Call] = []
    app = dispatcher(projects, observers=[seen.append])
    call = within("CreateProject", ProjectName="circuits")

    answer = asyncio.run(app.invoke(call))

    assert answer == {"ProjectMetadata": {"ProjectName": "circuits"}}
    assert seen == [call]
    assert (call.answer, call.status, call.error) == (answer, 200, None)


class Later:
    """Waits in the event loop; leaves the last part of an output to the worker thread."""

    async def list_projects(self, **_: Any) -> Any:
        await asyncio.sleep(0)
        return {"Projects": []}

    def describe_project(self, *, project_name: str) -> Any:
        async def described() -> Any:
            loop = asyncio.get_running_loop()

            def output() -> Any:
                with pytest.raises(RuntimeError, match="no running event loop"):
                    asyncio.get_running_loop()
                assert loop.is_running()
                return {"ProjectDescription": {"ProjectName": project_name}}

            return output

        return described


def test_who_is_in_the_process_waits_for_a_coroutine() -> None:
    app = dispatcher(Later())

    assert asyncio.run(app.invoke(within("ListProjects"))) == {"Projects": []}


def test_a_handler_may_leave_what_comes_after_waiting_to_a_worker_thread() -> None:
    app, path = dispatcher(Later()), f"{PROJECTS}/circuits"
    described = {"ProjectDescription": {"ProjectName": "circuits"}}

    answer = ask(app, "GET", path, headers=signed("GET", path, b""))

    assert json.loads(answer.body) == described
    assert asyncio.run(app.invoke(within("DescribeProject", ProjectName="circuits"))) == described


def test_who_is_in_the_process_passes_the_same_gates_and_checks(projects: Projects) -> None:
    def refuse(call: Call) -> None:
        if call.members.get("ProjectName") == "secret":
            raise AccessDeniedError("not you")

    seen: list[Call] = []
    app = dispatcher(projects, gates=[refuse], observers=[seen.append])

    with pytest.raises(AccessDeniedError):
        asyncio.run(app.invoke(within("CreateProject", ProjectName="secret")))
    with pytest.raises(ValidationError):
        asyncio.run(app.invoke(within("CreateProject", ProjectName="!")))

    assert projects.made == []
    assert [call.status for call in seen] == [403, 400]


def test_a_fault_is_told_to_who_is_in_the_process_as_to_anyone(projects: Projects) -> None:
    app = dispatcher(projects)

    with capture_logs() as logs, pytest.raises(InternalServerError) as caught:
        asyncio.run(app.invoke(within("CreateProject", ProjectName="broken")))

    assert caught.value.message == "The server failed. Request id: within"
    assert [line["log_level"] for line in logs] == ["error"]


class Detecting:
    """Detects nothing in any image."""

    async def detect_anomalies(self, *, body: bytes = b"", **_: Any) -> dict[str, Any]:
        return {"DetectAnomalyResult": {"Confidence": float(len(body))}}


def detect_unsigned(*, scheme: str, address: str) -> Answer:
    path = f"{PROJECTS}/circuits/models/1/detect"
    content = {"Content-Type": "image/png", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = AWSRequest(method="POST", url=ENDPOINT + path, data=b"image", headers=content)
    SigV4Auth(Credentials(KEY_ID, SECRET), "lookoutvision", "eu-west-1").add_auth(request)
    pairs = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    sent = scope(path, method="POST", headers=[(b"host", b"blemish.test"), *pairs])
    sent |= {"scheme": scheme, "client": (address, 50_000)}
    return converse(dispatcher(Detecting()), sent, [{"type": "http.request", "body": b"image"}])


@pytest.mark.parametrize(
    ("scheme", "address"),
    [("https", "192.0.2.7"), ("http", "127.0.0.1"), ("http", "::1"), ("https", "127.0.0.1")],
)
def test_an_image_may_be_left_out_of_the_signature_where_nobody_can_change_it(
    scheme: str, address: str
) -> None:
    answer = detect_unsigned(scheme=scheme, address=address)

    assert answer.status == 200
    assert json.loads(answer.body) == {"DetectAnomalyResult": {"Confidence": 5.0}}


def test_elsewhere_an_image_must_be_signed_and_the_answer_says_how() -> None:
    answer = detect_unsigned(scheme="http", address="192.0.2.7")

    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    message = json.loads(answer.body)["Message"]
    assert "UNSIGNED-PAYLOAD" in message
    assert "https endpoint" in message
    assert "not a stream" in message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_other_bodies_are_always_signed(scheme: str) -> None:
    body = b'{"ProjectName": "circuits"}'
    request = AWSRequest(method="POST", url=ENDPOINT + PROJECTS, data=body)
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    SigV4Auth(Credentials(KEY_ID, SECRET), "lookoutvision", "eu-west-1").add_auth(request)
    pairs = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    sent = scope(PROJECTS, method="POST", headers=[(b"host", b"blemish.test"), *pairs])

    answer = converse(
        dispatcher(Projects()), sent | {"scheme": scheme}, [{"type": "http.request", "body": body}]
    )

    assert answer.headers["x-amzn-errortype"] == "InvalidSignatureException"
