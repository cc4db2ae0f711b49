import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/**
 * Stands before the system's `pread`, for one file alone: what lies at `FAILING_FROM` and behind cannot be read, and a read
 * that begins before ends there, as of a disk with a bad sector. It names no C library, so that it takes the one it finds.
 */
const source = `
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SYS_preadv2
#error "expected the number of preadv2"
#endif

__attribute__((constructor)) static void refuse_preadv2(void) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv2, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) abort();
}

static int is_failing(int descriptor) {
  const char *path = getenv("FAILING_PATH");
  char link[64], found[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = path ? readlink(link, found, sizeof found - 1) : -1;
  return length > 0 && (size_t)length == strlen(path) && memcmp(found, path, length) == 0;
}

static ssize_t read_at(int descriptor, void *buffer, size_t count, off_t offset) {
  if (is_failing(descriptor)) {
    off_t from = atoll(getenv("FAILING_FROM"));
    if (offset >= from) {
      errno = EIO;
      return -1;
    }
    if (count > (size_t)(from - offset)) count = from - offset;
  }
  return syscall(SYS_pread64, descriptor, buffer, count, offset);
}

ssize_t pread(int descriptor, void *buffer, size_t count, off_t offset) {
  return read_at(descriptor, buffer, count, offset);
}

ssize_t pread64(int descriptor, void *buffer, size_t count, off_t offset) {
  return read_at(descriptor, buffer, count, offset);
}
`

/** Builds the library into a folder; the environment of a process in which that file fails from there on. */
export function failingDisk(folder: string): (path: string, from: number) => Record<string, string> {
  const library = join(folder, 'failing-disk.so')
  execFileSync('cc', ['-shared', '-fPIC', '-nostdlib', '-U_FORTIFY_SOURCE', '-x', 'c', '-', '-o', library], {
    input: source,
  })
  return (path, from) => ({ LD_PRELOAD: library, FAILING_PATH: path, FAILING_FROM: String(from) })
}
