"""The process that sessions are forked from, and its keeper's hold on it.

It imports the allowed libraries once (numpy and sympy take half a second), makes a session's interpreter, gives up
whatever sessions may not have, and then forks at every order of its keeper, so that a session costs a fork and nothing
more. Sessions are its siblings: the keeper ends and buries them. Invariant: no user code runs here.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import struct
import traceback
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from .channel import descriptors_in
from .confinement import Confinement
from .gate import Question, answer, next_question, take_gate
from .preloading import preload, settle_memory
from .rehearsal import rehearse
from .seeding import seed_everything
from .session import CHANNEL, Session, limit_resources
from .siblings import die_with_parent, fork_sibling

_ORDERS = CHANNEL + 1
"""Descriptor of the orders, in the zygote."""
_ORDER = b"!"
_MESSAGE_BYTES = 1 << 12
_ANSWER = struct.Struct("=i")
"""Process id of a new session, or a negative error number."""
_DESCRIPTOR_BYTES = socket.CMSG_SPACE(4)


class Zygote:
    """One that has imported its libraries.

    Raises:
        OSError: it could not be started, or what an import raised; the message says so.
        SystemExit: the host has gone meanwhile.
    """

    def __init__(self, config: dict[str, Any], host: socket.socket) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            _be_zygote(theirs, config)
        theirs.close()
        _wait_for(self._orders, host)
        problem = self._orders.recv(_MESSAGE_BYTES)
        if problem != _ORDER:
            raise OSError(problem.decode(errors="replace"))
        self.gate = take_gate(self._orders, self.pid, config["numbers"]) if config["level"] >= 2 else None
        """Where the kernel asks whether it, or a session, may fork; None where nobody is asked."""
        if self.gate is None and config["level"] >= 2:
            raise OSError("the gate to its forks cannot be had")
        self._questions: list[Question] = []
        self._poll = select.poll()
        for descriptor in (self._orders.fileno(), self.gate):
            if descriptor is not None:
                self._poll.register(descriptor, select.POLLIN)

    def fork(self, channel: int) -> int:
        """Process id of a new session, whose host is at the other end of `channel`.

        Raises:
            OSError: the system has no more processes or memory, or the zygote has died.
        """
        socket.send_fds(self._orders, [_ORDER], [channel])
        while self._orders.fileno() not in dict(self._poll.poll()):
            self.hear_question()
        body = self._orders.recv(_ANSWER.size)
        if not body:
            raise BrokenPipeError("the zygote died")
        (pid,) = _ANSWER.unpack(body)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return int(pid)

    def hear_question(self) -> None:
        """Take the question that waits; the zygote's own is answered at once: it has been ordered to fork."""
        assert self.gate is not None
        question = next_question(self.gate)
        if question is not None and question.process == self.pid:
            answer(self.gate, question, may_fork=True)
        elif question is not None:
            self._questions.append(question)

    def answer_questions(self, may_fork: Callable[[int], bool]) -> None:
        """Answer the questions of sessions that were heard so far by `may_fork`, which takes a process id."""
        while self._questions:
            assert self.gate is not None
            question = self._questions.pop(0)
            answer(self.gate, question, may_fork=may_fork(question.process))


def _be_zygote(orders: socket.socket, config: dict[str, Any]) -> NoReturn:
    status = 70
    try:
        keeper = os.getppid()
        die_with_parent()
        os.dup2(orders.fileno(), _ORDERS)
        os.dup2(_ORDERS, CHANNEL)  # some socket, so that nothing else takes the number of the sessions' own
        orders.close()
        orders = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=_ORDERS)
        session = _prepare(config)
        if session is not None:
            _serve(orders, session, keeper)
            status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _prepare(config: dict[str, Any]) -> Session | None:
    """What every session will be; None if the libraries cannot be had, which the keeper has been told."""
    try:
        preload(config["modules"])
        rehearse(config)
        seed_everything(config["seed"])
        session = Session(config)
        settle_memory()
        confinement = Confinement(config) if config["level"] >= 2 else None
    except BaseException as error:  # whatever a library raises on import, the host must hear of it
        os.write(_ORDERS, f"{type(error).__name__}: {error}".encode(errors="replace")[:_MESSAGE_BYTES])
        return None
    os.write(_ORDERS, _ORDER)
    # What libraries have opened, and what the keeper had.
    _close_all_but({0, 1, 2, CHANNEL, _ORDERS, *(confinement.descriptors if confinement is not None else ())})
    if confinement is not None:
        confinement.hand_over(_ORDERS)
    # Not before: what fails in there could not write its message, for no file may grow.
    limit_resources()
    os.dup2(1, 2)  # what actions write there goes nowhere
    return session


def _serve(orders: socket.socket, session: Session, keeper: int) -> None:
    """Make sessions until the keeper is gone; returns in each session as well, when its host is gone."""
    # A call for each, after which nothing is left of it: what lived on would change places from session to session.
    while _make_session(orders, session, keeper):
        pass


def _make_session(orders: socket.socket, session: Session, keeper: int) -> bool:
    order, ancillary, _, _ = orders.recvmsg(1, _DESCRIPTOR_BYTES)
    if not order:
        return False
    channels = descriptors_in(ancillary)
    try:
        pid = fork_sibling()
    except OSError as error:
        pid = -(error.errno or errno.EAGAIN)
    if pid == 0:
        os.close(_ORDERS)
        if os.getppid() == keeper:
            session.serve(channels[0])
        return False
    for channel in channels:
        os.close(channel)
    os.write(_ORDERS, _ANSWER.pack(pid))
    return True


def _wait_for(orders: socket.socket, host: socket.socket) -> None:
    """Return when something has come by `orders`; end this process if the host closes its end before."""
    poll = select.poll()
    poll.register(orders, select.POLLIN)
    poll.register(host, select.POLLRDHUP)
    if orders.fileno() not in dict(poll.poll()):
        raise SystemExit


def _close_all_but(kept: Collection[int]) -> None:
    start = 0
    for descriptor in [*sorted(kept), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]:
        if start < descriptor:  # Python takes an empty range for everything from `start` on
            os.closerange(start, descriptor)
        start = descriptor + 1
