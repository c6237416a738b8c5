"""How programs end: nothing is lost where that can be helped, and nothing hangs."""

from __future__ import annotations

import signal
import time

from door import Door, Reply
from programs import end, line, run, start


def test_what_waits_is_sent_at_exit(door: Door) -> None:
    code, _, err = run(
        """
        from llmlab import trace, span
        @trace
        def main():
            with span("inner"): pass
        main()
        """,
        door.url,
        LLMLAB_FLUSH_INTERVAL="60",
    )
    assert (code, err) == (0, "")
    assert [step["name"] for step in door.steps] == ["inner", "main"]


def test_also_when_the_program_fails(door: Door) -> None:
    code, _, _ = run(
        """
        from llmlab import trace
        @trace
        def main(): raise SystemExit(3)
        main()
        """,
        door.url,
    )
    assert code == 3
    assert door.step("main")["error"]["type"] == "SystemExit"


def test_sigterm_sends_and_ends_as_it_would_have(door: Door) -> None:
    process = start(
        """
        import time
        from llmlab import LLMLab, span
        llm = LLMLab()
        with span("a"): pass
        print("ready", flush=True)
        time.sleep(60)
        """,
        door.url,
        LLMLAB_FLUSH_INTERVAL="60",
    )
    assert line(process) == "ready"
    process.send_signal(signal.SIGTERM)
    code, _ = end(process)
    assert code == -signal.SIGTERM
    assert door.step("a")["status"] == "ok"


def test_the_programs_own_handler_still_runs(door: Door) -> None:
    process = start(
        """
        import os, signal, time
        def own(number, frame):
            with span("in handler"): pass
            print("own", flush=True)
            signal.signal(signal.SIGALRM, lambda *_: os._exit(7))
            signal.alarm(1)
        signal.signal(signal.SIGTERM, own)
        from llmlab import LLMLab, span
        llm = LLMLab()
        with span("a"): pass
        print("ready", flush=True)
        while True: time.sleep(1)
        """,
        door.url,
        LLMLAB_FLUSH_INTERVAL="60",
    )
    assert line(process) == "ready"
    process.send_signal(signal.SIGTERM)
    assert line(process) == "own"
    assert end(process)[0] == 7
    assert [step["name"] for step in door.steps] == ["a", "in handler"]


def test_an_ignored_sigterm_stays_ignored(door: Door) -> None:
    code, out, _ = run(
        """
        import signal, os
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        from llmlab import LLMLab
        llm = LLMLab()
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
        """,
        door.url,
    )
    assert (code, out) == (0, "True\n")


def test_a_client_made_in_another_thread_touches_no_signal(door: Door) -> None:
    code, out, _ = run(
        """
        import signal, threading
        from llmlab import LLMLab
        thread = threading.Thread(target=LLMLab)
        thread.start(); thread.join()
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """,
        door.url,
    )
    assert (code, out) == (0, "True\n")


def test_flush_in_a_signal_handler_never_deadlocks(door: Door) -> None:
    code, out, err = run(
        """
        import signal, os, threading, time
        from llmlab import LLMLab, span
        llm = LLMLab(flush_at=3)
        seen = []
        def handler(*_):
            with span("in handler"): pass
            seen.append(llm.flush(5))
        signal.signal(signal.SIGUSR1, handler)
        done = threading.Event()
        def shoot():
            for _ in range(100):
                os.kill(os.getpid(), signal.SIGUSR1); time.sleep(0.002)
            done.set()
        threading.Thread(target=shoot).start()
        while not done.is_set():
            with span("a"): pass
        print(all(seen), len(seen) > 20)
        """,
        door.url,
        timeout=60,
    )
    assert (code, out, err) == (0, "True True\n", "")


def test_a_signal_while_the_threads_are_started_does_not_hold_flush_up(door: Door) -> None:
    """Before and after the start of each thread: what the handler waits for is not below it on the stack."""
    code, out, err = run(
        """
        import threading
        from llmlab import LLMLab, span
        llm = LLMLab(flush_interval=60)
        start, moments, answers = threading.Thread.start, [], []
        def handler(moment):
            if moment in moments: return
            moments.append(moment)
            with span("in handler"): pass
            answers.append(llm.flush(10))
        def interrupted(thread):
            handler(f"before {thread.name}")
            start(thread)
            handler(f"after {thread.name}")
        threading.Thread.start = interrupted
        with span("a"): pass
        print(sorted(moments), all(answers))
        """,
        door.url,
    )
    moments = [
        f"{when} llmlab-{name}" for when in ("after", "before") for name in ("encoder", "sender")
    ]
    assert (code, out, err) == (0, f"{moments} True\n", "")
    assert len(door.steps) == 5


def test_a_dead_server_holds_the_exit_up_for_seconds_at_most(door: Door) -> None:
    begin = time.monotonic()
    code, _, err = run(
        """
        from llmlab import span
        with span("a"): pass
        """,
        "http://127.0.0.1:9",
    )
    assert code == 0
    assert time.monotonic() - begin < 8
    assert "steps lost" in err


def test_a_server_known_to_be_away_does_not_hold_the_exit_up(door: Door) -> None:
    code, out, _ = run(
        """
        import time, atexit
        from llmlab import span, LLMLab
        begin = []
        atexit.register(lambda: print(time.monotonic() - begin[0] < 2))
        llm = LLMLab(flush_interval=0.05)
        with span("a"): pass
        while llm.stats()["retries"] < 3: time.sleep(0.02)
        begin.append(time.monotonic())
        """,
        "http://127.0.0.1:9",
    )
    assert (code, out) == (0, "True\n")


def test_threads_that_still_run_at_exit_do_no_harm(door: Door) -> None:
    code, _, err = run(
        """
        import threading, time
        from llmlab import span
        def busy():
            while True:
                with span("a"): pass
                time.sleep(0.001)
        for _ in range(3): threading.Thread(target=busy, daemon=True).start()
        time.sleep(0.3)
        """,
        door.url,
    )
    assert (code, err) == (0, "")
    assert len(door.steps) > 50


def test_forked_children_send_their_own_steps_once(door: Door) -> None:
    code, out, err = run(
        """
        import os
        from llmlab import LLMLab, span, trace
        llm = LLMLab(flush_interval=60)
        with span("before"): pass
        with trace("root") as root:
            pids = []
            for number in range(3):
                pid = os.fork()
                if pid == 0:
                    with span(f"child {number}") as step:
                        pass
                    assert step.trace_id == root.trace_id
                    llm.flush(5)
                    os._exit(0)
                pids.append(pid)
            for pid in pids: os.waitpid(pid, 0)
        llm.flush(5)
        print(root.id)
        """,
        door.url,
    )
    assert (code, err) == (0, "")
    names = sorted(step["name"] for step in door.steps)
    assert names == ["before", "child 0", "child 1", "child 2", "root"]
    assert {step["parent_id"] for step in door.steps if "child" in step["name"]} == {out.strip()}
    ids = [step["id"] for step in door.steps]
    assert len(set(ids)) == len(ids)


def test_multiprocessing_children_send_at_their_end(door: Door) -> None:
    code, _, err = run(
        """
        import multiprocessing as mp
        from llmlab import LLMLab, span, trace
        llm = LLMLab(flush_interval=60)
        def work(number):
            with span(f"child {number}"): pass
        if __name__ == "__main__":
            context = mp.get_context("fork")
            with trace("root"):
                workers = [context.Process(target=work, args=(n,)) for n in range(2)]
                for worker in workers: worker.start()
                for worker in workers: worker.join()
        """,
        door.url,
    )
    assert (code, err) == (0, "")
    assert sorted(step["name"] for step in door.steps) == ["child 0", "child 1", "root"]


def test_forking_while_threads_send(door: Door) -> None:
    door.rule = lambda request: Reply(0, delay=0.005)
    code, _, err = run(
        """
        import os, threading
        from llmlab import LLMLab, span
        llm = LLMLab(flush_at=20)
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                with span("busy"): pass
                stop.wait(0.002)
        threads = [threading.Thread(target=busy) for _ in range(2)]
        for thread in threads: thread.start()
        for number in range(15):
            pid = os.fork()
            if pid == 0:
                with span("child"): pass
                os._exit(0 if llm.flush(10) else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
        """,
        door.url,
        timeout=90,
    )
    assert (code, err) == (0, "")
    assert sum(step["name"] == "child" for step in door.steps) == 15


def test_memory_stays_bounded_with_a_dead_server() -> None:
    _, out, err = run(
        """
        import resource
        from llmlab import LLMLab, span
        llm = LLMLab(max_queue_bytes=4_000_000, timeout=1)
        def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(2_000):
            with span("a", input="x" * 500): pass
        before = rss()
        for number in range(100_000):
            with span("a", input="x" * 500): pass
        stats = llm.stats()
        print(rss() - before)
        print(stats["waiting_bytes"] <= 4_000_000, stats["recorded"] == 102_000)
        print(stats["dropped"] > 90_000, stats["dropped"] + stats["waiting"] >= 101_000)
        """,
        "http://127.0.0.1:9",
        timeout=120,
    )
    grown, *checks = out.split("\n", 1)
    assert int(grown) < 20_000, out
    assert checks == ["True True\nTrue True\n"], err
    assert err.count("the oldest steps are dropped") in (1, 2)
