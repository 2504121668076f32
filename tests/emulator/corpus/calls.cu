// Calls that cannot be inlined: recursion, functions called through pointers and tables, virtual functions, and the heap of kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifdef __CUDACC__
#include <cstdio>
#define DEVICE __device__
#else
#define DEVICE
#endif

#include <new>

namespace calls {

DEVICE inline __attribute__((noinline)) int ackermann(int m, int n) {
  return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

/// Fibonacci with locals that outlive the inner calls, whose addresses are handed down.
DEVICE inline __attribute__((noinline)) void fibonacci(int n, long long *result) {
  if (n < 2) {
    *result = n;
    return;
  }
  long long parts[2];
  fibonacci(n - 1, &parts[0]);
  fibonacci(n - 2, &parts[1]);
  *result = parts[0] + parts[1];
}

DEVICE bool isOdd(unsigned n);
DEVICE inline __attribute__((noinline)) bool isEven(unsigned n) { return n == 0 || isOdd(n - 1); }
DEVICE inline __attribute__((noinline)) bool isOdd(unsigned n) { return n != 0 && isEven(n - 1); }

struct Pair {
  double first;
  int second;
};
using Operation = Pair (*)(Pair, int);
DEVICE inline __attribute__((noinline)) Pair addTo(Pair p, int x) { return {p.first + x, p.second + 1}; }
DEVICE inline __attribute__((noinline)) Pair times(Pair p, int x) { return {p.first * x, p.second + 2}; }
DEVICE inline __attribute__((noinline)) Pair negate(Pair p, int x) { return {-p.first, p.second + x}; }

struct Shape {
  DEVICE virtual float area() const = 0;
  DEVICE virtual int corners() const { return 0; }
};
struct Square : Shape {
  float side;
  DEVICE explicit Square(float s) : side(s) {}
  DEVICE float area() const override { return side * side; }
  DEVICE int corners() const override { return 4; }
};
struct Circle : Shape {
  float radius;
  DEVICE explicit Circle(float r) : radius(r) {}
  DEVICE float area() const override { return 3.0f * radius * radius; }
};

DEVICE inline int recursionResult(int i) {
  long long f;
  fibonacci(i % 13, &f);
  return ackermann(i % 3, i % 5) * 1000 + static_cast<int>(f) + (isEven(static_cast<unsigned>(i)) ? 500000 : 0);
}

DEVICE inline Pair pointerResult(int i, Operation a, Operation b, Operation c) {
  Operation table[3] = {a, b, c};
  Pair p{i * 0.5, 0};
  for (int step = 0; step < 4; ++step)
    p = table[(i + step) % 3](p, i + step);
  return p;
}

} // namespace calls

#ifdef __CUDACC__
extern "C" __global__ void recursion(int *out) {
  int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i % 5 != 3) // lanes that stay outside
    out[i] = calls::recursionResult(i);
  else
    out[i] = -1;
}

__device__ calls::Operation operations[3] = {calls::addTo, calls::times, calls::negate};

extern "C" __global__ void pointers(double *first, int *second) {
  int i = threadIdx.x;
  calls::Pair p = calls::pointerResult(i, operations[0], operations[1], operations[2]);
  first[i] = p.first;
  second[i] = p.second;
}

extern "C" __global__ void virtuals(float *out) {
  int i = threadIdx.x;
  calls::Square square(static_cast<float>(i));
  calls::Circle circle(static_cast<float>(i) * 0.5f);
  const calls::Shape *shapes[2] = {&square, &circle};
  const calls::Shape *mine = shapes[(i / 3) & 1];
  out[i] = mine->area() + static_cast<float>(mine->corners()) * 1000.0f;
}

/// A list built on the heap, summed and freed.
extern "C" __global__ void heap(int *out) {
  struct Node {
    int value;
    Node *next;
  };
  int i = threadIdx.x;
  Node *head = nullptr;
  for (int k = 0; k <= i % 7; ++k)
    head = new Node{k * i, head};
  int sum = 0;
  while (head) {
    sum += head->value;
    Node *next = head->next;
    delete head;
    head = next;
  }
  char *bytes = static_cast<char *>(malloc(100));
  bytes[99] = static_cast<char>(i);
  out[i] = sum + bytes[99];
  free(bytes);
}

extern "C" __global__ void freeTwice(int *out) {
  int *p = static_cast<int *>(malloc(16));
  *out = *p = 1;
  free(p);
  free(p);
}

__device__ __noinline__ int endless(int n, int *out) {
  int local[16];
  for (int i = 0; i < 16; ++i)
    local[i] = out[i] + n;
  return endless(n + 1, local) + local[n & 15];
}
extern "C" __global__ void overflow(int *out) { out[0] = endless(1, out); }
#endif
