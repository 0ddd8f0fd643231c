/* A queue of signature checks that threads work off while Python goes on.
 *
 * A worker thread that needed the interpreter's lock between two batches would wait for it up to
 * 5 ms each time; here it enters `serve` once and stays outside the interpreter. Python's own locks
 * serve as binary semaphores, which needs no code per operating system. */
#include "verify.h"

#define QUEUE_CAPSULE "misocoin.verify_queue"
#define MAX_THREADS 256
#define STRIDE 8 /* jobs claimed at once: some 0.3 ms */

typedef struct {
    PyThread_type_lock wake; /* held, but for the moment in which the sleeper is woken */
    int asleep;
} sleeper;

typedef struct {
    PyObject *library_capsule;
    const library *lib;
    PyThread_type_lock mutex; /* guards all below */
    batch *first, *last;      /* since the last `finish` */
    batch *current;           /* the next job to claim is current->items[position] */
    Py_ssize_t position;
    Py_ssize_t unfinished; /* jobs pushed and not yet checked */
    int finishing, closed, threads;
    sleeper finisher, workers[MAX_THREADS];
} queue;

typedef struct {
    batch *jobs;
    Py_ssize_t begin, end;
} claim;

static void lock(queue *q)
{
    PyThread_acquire_lock(q->mutex, WAIT_LOCK);
}

static void unlock(queue *q)
{
    PyThread_release_lock(q->mutex);
}

/* With the mutex held; every release meets exactly one acquire in fall_asleep. */
static void wake(sleeper *who)
{
    if (who->asleep) {
        who->asleep = 0;
        PyThread_release_lock(who->wake);
    }
}

/* With the mutex held. */
static void wake_all(queue *q)
{
    int i;

    for (i = 0; i < q->threads; i++)
        wake(&q->workers[i]);
    wake(&q->finisher);
}

/* With the mutex held, which is away while the caller sleeps. */
static void fall_asleep(queue *q, sleeper *who)
{
    who->asleep = 1;
    unlock(q);
    PyThread_acquire_lock(who->wake, WAIT_LOCK);
    lock(q);
}

static int init_sleeper(sleeper *who)
{
    who->wake = PyThread_allocate_lock();
    if (who->wake == NULL)
        return -1;
    PyThread_acquire_lock(who->wake, WAIT_LOCK);
    return 0;
}

static void free_sleeper(sleeper *who)
{
    if (who->wake != NULL) {
        PyThread_release_lock(who->wake);
        PyThread_free_lock(who->wake);
    }
}

/* With the mutex held: the next few jobs nobody has taken; 0 if there are none. */
static int claim_jobs(queue *q, claim *taken)
{
    while (q->current != NULL && q->position == q->current->count && q->current->next != NULL) {
        q->current = q->current->next;
        q->position = 0;
    }
    if (q->current == NULL || q->position == q->current->count)
        return 0;
    taken->jobs = q->current;
    taken->begin = q->position;
    taken->end = q->current->count - q->position > STRIDE ? q->position + STRIDE
                                                          : q->current->count;
    q->position = taken->end;
    return 1;
}

/* With the mutex held, which is away while the jobs are checked. */
static void run_claim(queue *q, const claim *taken)
{
    Py_ssize_t i;

    unlock(q);
    for (i = taken->begin; i < taken->end; i++)
        taken->jobs->valid[i] = (unsigned char)misocoin_is_valid(q->lib, &taken->jobs->items[i]);
    lock(q);
    q->unfinished -= taken->end - taken->begin;
    if (q->unfinished == 0)
        wake(&q->finisher);
}

static void free_batches(batch *jobs)
{
    while (jobs != NULL) {
        batch *next = jobs->next;
        misocoin_batch_free(jobs);
        jobs = next;
    }
}

static void free_queue(queue *q)
{
    int i;

    free_batches(q->first);
    for (i = 0; i < q->threads; i++)
        free_sleeper(&q->workers[i]);
    free_sleeper(&q->finisher);
    if (q->mutex != NULL)
        PyThread_free_lock(q->mutex);
    Py_XDECREF(q->library_capsule);
    free(q);
}

static void free_capsule(PyObject *capsule)
{
    free_queue(PyCapsule_GetPointer(capsule, QUEUE_CAPSULE));
}

PyObject *misocoin_make_queue(PyObject *Py_UNUSED(module), PyObject *library_capsule)
{
    const library *lib = misocoin_library_from_capsule(library_capsule);
    PyObject *capsule;
    queue *q = lib == NULL ? NULL : calloc(1, sizeof *q);

    if (q == NULL)
        return lib == NULL ? NULL : PyErr_NoMemory();
    q->lib = lib;
    q->library_capsule = Py_NewRef(library_capsule);
    q->mutex = PyThread_allocate_lock();
    if (q->mutex == NULL || init_sleeper(&q->finisher) < 0) {
        free_queue(q);
        return PyErr_NoMemory();
    }
    capsule = PyCapsule_New(q, QUEUE_CAPSULE, free_capsule);
    if (capsule == NULL)
        free_queue(q);
    return capsule;
}

PyObject *misocoin_push(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *capsule, *sequence;
    batch *jobs;
    queue *q;

    if (!PyArg_ParseTuple(arguments, "OO:push", &capsule, &sequence))
        return NULL;
    q = PyCapsule_GetPointer(capsule, QUEUE_CAPSULE);
    jobs = q == NULL ? NULL : misocoin_batch_from_sequence(sequence);
    if (jobs == NULL)
        return NULL;
    /* The mutex is only ever held for a moment, never while waiting for the interpreter. */
    lock(q);
    if (q->first == NULL) {
        q->first = q->current = jobs;
        q->position = 0;
    } else {
        q->last->next = jobs;
    }
    q->last = jobs;
    q->unfinished += jobs->count;
    wake_all(q);
    unlock(q);
    Py_RETURN_NONE;
}

PyObject *misocoin_serve(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    queue *q = PyCapsule_GetPointer(capsule, QUEUE_CAPSULE);
    sleeper *self = NULL;
    claim taken;

    if (q == NULL)
        return NULL;
    lock(q);
    if (q->threads < MAX_THREADS && init_sleeper(&q->workers[q->threads]) == 0)
        self = &q->workers[q->threads++];
    unlock(q);
    if (self == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no more threads can serve this queue");
        return NULL;
    }

    Py_BEGIN_ALLOW_THREADS
    lock(q);
    while (!q->closed) {
        if (claim_jobs(q, &taken))
            run_claim(q, &taken);
        else
            fall_asleep(q, self);
    }
    unlock(q);
    Py_END_ALLOW_THREADS

    Py_RETURN_NONE;
}

PyObject *misocoin_skip(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    queue *q = PyCapsule_GetPointer(capsule, QUEUE_CAPSULE);

    if (q == NULL)
        return NULL;
    lock(q);
    while (q->current != NULL) {
        q->unfinished -= q->current->count - q->position;
        q->position = q->current->count;
        if (q->current->next == NULL)
            break;
        q->current = q->current->next;
        q->position = 0;
    }
    if (q->unfinished == 0)
        wake(&q->finisher);
    unlock(q);
    Py_RETURN_NONE;
}

PyObject *misocoin_finish(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    queue *q = PyCapsule_GetPointer(capsule, QUEUE_CAPSULE);
    PyObject *failures;
    Py_ssize_t offset = 0;
    batch *done = NULL, *jobs;
    claim taken;
    int busy;

    if (q == NULL)
        return NULL;

    Py_BEGIN_ALLOW_THREADS
    lock(q);
    busy = q->finishing;
    if (!busy) {
        q->finishing = 1;
        while (q->unfinished > 0) {
            if (claim_jobs(q, &taken))
                run_claim(q, &taken);
            else
                fall_asleep(q, &q->finisher);
        }
        done = q->first;
        q->first = q->last = q->current = NULL;
        q->finishing = 0;
    }
    unlock(q);
    Py_END_ALLOW_THREADS

    if (busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread finishes this queue");
        return NULL;
    }
    failures = PyList_New(0);
    for (jobs = done; jobs != NULL && failures != NULL; jobs = jobs->next) {
        if (misocoin_append_failures(failures, jobs, offset) < 0)
            Py_CLEAR(failures);
        offset += jobs->count;
    }
    free_batches(done);
    return failures;
}

PyObject *misocoin_close(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    queue *q = PyCapsule_GetPointer(capsule, QUEUE_CAPSULE);

    if (q == NULL)
        return NULL;
    lock(q);
    q->closed = 1;
    wake_all(q);
    unlock(q);
    Py_RETURN_NONE;
}
