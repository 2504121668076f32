// Marks what libfourfold.so exports.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_EXPORT_H
#define FOURFOLD_EXPORT_H

#define FOURFOLD_API __attribute__((visibility("default")))

#endif // FOURFOLD_EXPORT_H
