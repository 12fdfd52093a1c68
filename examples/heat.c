/*
 * Heat on a ring: a model as others have them, with MPI, OpenMP and restart files.
 *
 * heat OLD NEW STEPS KAPPA [NAP_MS] [DIE_RANK DIE_STEP MARK] [LOG]
 *
 * OLD and NEW are restart files: the number of steps so far and the cells as doubles.
 * Each rank has a block of cells and asks its neighbours for their edges; the threads
 * of a rank share its block. No sum is taken, so the bits do not depend on how many
 * ranks or threads there are.
 *
 * Leaves with 0 when it is done. Asked by SIGUSR1 it writes its restart file after the
 * step at hand and leaves with 75. A rank that is to die does so once: MARK says that
 * it has.
 */
#include <mpi.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static volatile sig_atomic_t asked = 0;

static void ask(int number) {
  (void)number;
  asked = 1;
}

static void fail(const char *what) {
  fprintf(stderr, "heat: %s\n", what);
  MPI_Abort(MPI_COMM_WORLD, 3);
}

int main(int argc, char **argv) {
  signal(SIGUSR1, ask);
  int given;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &given);
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (argc < 5) fail("usage: heat OLD NEW STEPS KAPPA ...");
  const long steps = atol(argv[3]);
  const double kappa = atof(argv[4]);
  const long nap_ms = argc > 5 ? atol(argv[5]) : 0;
  const int die_rank = argc > 8 ? atoi(argv[6]) : -1;
  const long die_step = argc > 8 ? atol(argv[7]) : -1;

  /* Every rank reads the whole file: it is small. */
  FILE *file = fopen(argv[1], "rb");
  int64_t head[2];
  if (!file || fread(head, sizeof head, 1, file) != 1) fail("no restart file");
  const long cells = (long)head[1];
  double *whole = malloc((size_t)cells * sizeof *whole);
  if (fread(whole, sizeof *whole, (size_t)cells, file) != (size_t)cells)
    fail("the restart file is cut off");
  fclose(file);

  const long first = cells * rank / ranks, last = cells * (rank + 1) / ranks;
  const long own = last - first;
  double *now = malloc((size_t)(own + 2) * sizeof *now);
  double *next = malloc((size_t)(own + 2) * sizeof *next);
  memcpy(now + 1, whole + first, (size_t)own * sizeof *now);
  const int left = (rank + ranks - 1) % ranks, right = (rank + 1) % ranks;

  int threads = 1;
#ifdef _OPENMP
#pragma omp parallel
  {
#pragma omp single
    threads = omp_get_num_threads();
  }
#endif
  if (rank == 0) {
    printf("heat: %d ranks, %d threads, %ld cells\n", ranks, threads, cells);
    fflush(stdout);
  }
  const int64_t target = (head[0] / steps + 1) * steps;
  int64_t step = head[0];
  int leave = 0;
  for (; step < target && !leave; step++) {
    MPI_Sendrecv(now + 1, 1, MPI_DOUBLE, left, 0, now + own + 1, 1, MPI_DOUBLE, right,
                 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(now + own, 1, MPI_DOUBLE, right, 1, now, 1, MPI_DOUBLE, left, 1,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
#pragma omp parallel for schedule(static)
    for (long i = 1; i <= own; i++)
      next[i] = now[i] + kappa * (now[i - 1] - 2.0 * now[i] + now[i + 1]);
    double *other = now;
    now = next;
    next = other;
    if (nap_ms) usleep((useconds_t)(nap_ms * 1000));
    if (rank == die_rank && step - head[0] == die_step) {
      FILE *mark = fopen(argv[8], "wx");
      if (mark) {
        fclose(mark);
        kill(getpid(), SIGKILL);
      }
    }
    if (rank == 0 && step % 10 == 9) {
      printf("heat: step %ld of %ld\n", (long)(step + 1), (long)target);
      fflush(stdout);
    }
    /* All leave after the same step. */
    int mine = asked;
    MPI_Allreduce(&mine, &leave, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  }

  int *counts = malloc((size_t)ranks * sizeof *counts);
  int *places = malloc((size_t)ranks * sizeof *places);
  for (int r = 0; r < ranks; r++) {
    places[r] = (int)(cells * r / ranks);
    counts[r] = (int)(cells * (r + 1) / ranks) - places[r];
  }
  MPI_Gatherv(now + 1, (int)own, MPI_DOUBLE, whole, counts, places, MPI_DOUBLE, 0,
              MPI_COMM_WORLD);
  if (rank == 0) {
    head[0] = step;
    file = fopen(argv[2], "wb");
    if (!file || fwrite(head, sizeof head, 1, file) != 1 ||
        fwrite(whole, sizeof *whole, (size_t)cells, file) != (size_t)cells ||
        fclose(file))
      fail("the restart file cannot be written");
  }
  MPI_Finalize();
  return step < target ? 75 : 0;
}
