"""Batches, the pool of verifying threads, and the cache: natively and portably the same."""

import hashlib
import threading

import pytest

from misocoin.crypto import batch
from misocoin.crypto.batch import SignatureCache, SignatureJob, SignatureKind, VerifierPool
from misocoin.crypto.keys import PrivateKey

needs_native = pytest.mark.skipif(not batch.is_native(), reason="the native module is not built")
every_way = pytest.mark.parametrize(
    "native", [pytest.param(True, marks=needs_native), False], ids=["native", "portable"]
)


def make_job(number: int) -> SignatureJob:
    digest = hashlib.sha256(b"job %d" % number).digest()
    key = PrivateKey(hashlib.sha256(b"key %d" % number).digest(), compressed=number % 3 > 0)
    if number % 2:
        signature = key.sign_schnorr(digest, bytes(32))
        return SignatureJob(SignatureKind.SCHNORR, key.xonly_public_key, signature, digest)
    return SignatureJob(SignatureKind.ECDSA, key.public_key, key.sign_ecdsa(digest), digest)


JOBS = [make_job(number) for number in range(100)]


def spoilt(job: SignatureJob) -> SignatureJob:
    return job._replace(digest=job.digest[::-1])


def with_failures(jobs: list[SignatureJob], failures: list[int]) -> list[SignatureJob]:
    return [spoilt(job) if index in failures else job for index, job in enumerate(jobs)]


def verify(native: bool, jobs: list[SignatureJob]) -> list[int]:
    return batch.verify_batch(jobs) if native else batch.verify_batch_portably(jobs)


@every_way
@pytest.mark.parametrize("failures", [[], [0], [99], [3, 4, 50], list(range(100))])
def test_a_batch_names_its_failures(native, failures):
    assert verify(native, with_failures(JOBS, failures)) == failures
    assert verify(native, tuple(with_failures(JOBS, failures))) == failures


@every_way
def test_an_empty_batch_is_valid(native):
    assert verify(native, []) == []


@every_way
@pytest.mark.parametrize("job", JOBS[:2], ids=["ecdsa", "schnorr"])
@pytest.mark.parametrize("field", ["public_key", "signature", "digest"])
def test_bytes_of_any_length_are_taken(native, job, field):
    value = getattr(job, field)
    wrong = [value[:size] for size in range(len(value))] + [value + b"\x00", value * 100]
    jobs = [job._replace(**{field: other}) for other in wrong]
    expected = list(range(len(jobs)))
    if (job.kind, field) == (SignatureKind.ECDSA, "signature"):
        del expected[-2:]  # bytes behind a DER signature are ignored
    assert verify(native, [*jobs, job]) == expected


@every_way
def test_kinds_are_not_confused(native):
    ecdsa, schnorr = JOBS[:2]
    jobs = [
        ecdsa._replace(kind=SignatureKind.SCHNORR),
        schnorr._replace(kind=SignatureKind.ECDSA),
        ecdsa,
        schnorr,
    ]
    assert verify(native, jobs) == [0, 1]


@needs_native
@pytest.mark.parametrize(
    ("job", "error"),
    [
        (None, TypeError),
        ((), TypeError),
        (list(JOBS[0]), TypeError),
        (JOBS[0][:3], TypeError),
        ((*JOBS[0], b""), TypeError),
        ((0, "text", b"", b""), TypeError),
        ((0, b"", bytearray(8), b""), TypeError),
        ((0, b"", b"", None), TypeError),
        (("0", b"", b"", b""), TypeError),
        ((2, b"", b"", b""), ValueError),
        ((-1, b"", b"", b""), ValueError),
        ((2**70, b"", b"", b""), OverflowError),
    ],
)
def test_the_native_module_refuses_what_is_no_job(job, error):
    with pytest.raises(error):
        batch.verify_batch([*JOBS[:3], job])
    with VerifierPool(1) as pool:
        pool.submit([job])
        with pytest.raises(error):
            pool.wait()
        pool.submit(JOBS[:3])
        assert pool.wait() == []


@needs_native
def test_the_native_module_checks_what_it_is_given():
    from misocoin import _native
    from misocoin.crypto.coincurve_backend import native_addresses

    library = _native.make_library(native_addresses())
    with pytest.raises(ValueError, match="PyCapsule"):
        _native.make_queue(object())
    with pytest.raises(ValueError, match="PyCapsule"):
        _native.push(library, [])
    with pytest.raises(ValueError, match="PyCapsule"):
        _native.find_invalid(_native.make_queue(library), [])
    with pytest.raises(TypeError):
        _native.find_invalid(library, 1)
    with pytest.raises(TypeError):
        _native.make_library((1, 2))
    with pytest.raises(ValueError, match="null"):
        _native.make_library((0, *native_addresses()[1:]))


@every_way
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_pool_counts_failures_in_order_of_submission(native, threads):
    with VerifierPool(threads, native=native) as pool:
        for failures in ([], [0, 17, 99], [98]):
            jobs = with_failures(JOBS, failures)
            pool.submit(jobs[:1])
            pool.submit(jobs[1:40])
            pool.submit([])
            pool.submit(iter(jobs[40:]))
            assert pool.wait() == failures
        assert pool.wait() == []


@every_way
def test_a_pool_can_be_closed_with_jobs_in_it(native):
    pool = VerifierPool(3, native=native)
    pool.submit(JOBS)
    pool.close()
    pool.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("verify")]


def test_a_pool_uses_all_cores_unless_told():
    with VerifierPool() as pool:
        assert pool.threads >= 1


@every_way
def test_a_pool_forgets_what_is_discarded(native):
    with VerifierPool(2, native=native) as pool:
        pool.submit(with_failures(JOBS, [5]))
        pool.discard()
        pool.submit(with_failures(JOBS, [3]))
        assert pool.wait() == [3]
        pool.discard()
        assert pool.wait() == []


@needs_native
def test_a_closed_queue_is_worked_off_by_its_caller():
    from misocoin.crypto.native_verifier import VerifyQueue

    queue = VerifyQueue(threads=2)
    queue.close()
    queue.push(with_failures(JOBS, [7]))
    queue.push([])
    queue.push(with_failures(JOBS, [0]))
    assert queue.finish() == [7, 100]
    assert queue.finish() == []


@needs_native
def test_many_callers_share_a_queue_without_losing_jobs():
    from misocoin.crypto.native_verifier import VerifyQueue

    queue = VerifyQueue(threads=2)
    found: list[int] = []
    refused: list[str] = []

    def call() -> None:
        for _ in range(20):
            queue.push([spoilt(JOBS[0]), JOBS[1], JOBS[2]])
            try:
                found.extend(queue.finish())
            except RuntimeError as error:
                refused.append(str(error))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    found.extend(queue.finish())
    queue.close()
    assert len(found) == 80
    assert set(refused) <= {"another thread finishes this queue"}


def test_a_cache_remembers_exactly_what_was_added():
    cache = SignatureCache()
    job = JOBS[0]
    assert not cache.contains(job)
    cache.add(job)
    cache.add(job)
    assert cache.contains(job)
    assert cache.contains(SignatureJob(*job))
    assert len(cache) == 1
    for other in (
        job._replace(kind=SignatureKind.SCHNORR),
        job._replace(public_key=job.public_key[:-1], signature=job.signature),
        job._replace(signature=job.signature + b"\x00"),
        job._replace(digest=job.digest[::-1]),
        # The same bytes, cut in other places.
        job._replace(public_key=job.public_key + job.digest[:1], digest=job.digest[1:]),
        job._replace(digest=job.digest + job.signature[:1], signature=job.signature[1:]),
    ):
        assert not cache.contains(other)


def test_a_cache_forgets_the_oldest_half():
    cache = SignatureCache(capacity=20)
    for job in JOBS[:30]:
        cache.add(job)
        assert cache.contains(job)
        assert len(cache) <= 20
    assert [cache.contains(job) for job in JOBS[:30]] == [False] * 10 + [True] * 20
    with pytest.raises(ValueError, match="two"):
        SignatureCache(capacity=1)


def test_a_cache_serves_many_threads():
    cache = SignatureCache(capacity=50)
    errors: list[SignatureJob] = []

    def use(jobs: list[SignatureJob]) -> None:
        for _ in range(20):
            for job in jobs:
                cache.add(job)
                if cache.contains(spoilt(job)):
                    errors.append(job)

    users = [threading.Thread(target=use, args=(JOBS[start::4],)) for start in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert errors == []
    assert 25 <= len(cache) <= 50
