// The command line.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace traingpt {
namespace {

constexpr const char *kFooter = R"(Examples:
  train_gpt --text kjv.txt --out runs/bf16                        1000 steps of the default model in bf16
  train_gpt --text kjv.txt --out runs/averis --recipe averis --health
  train_gpt --text kjv.txt --out runs/bf16 --resume               goes on after Ctrl-C or a crash, to the same losses

DIR then has config.json, metrics.csv, curves.svg, result.json, checkpoint.bin, tokenizer.bpe and, with --health, health.csv.
Exit codes: 0 finished, 1 error, 2 wrong usage, 130 stopped by Ctrl-C after writing a checkpoint.)";

/// One line on what does not fit together, or nothing.
std::string contradiction(const Options &o) {
  const ModelShape &s = o.shape;
  if (s.width % (2 * s.heads) != 0)
    return fmt::format("--width {} is not a multiple of twice --heads {}: every head needs an even number of features", s.width,
                       s.heads);
  if (s.width % 16 != 0 || s.hidden % 16 != 0)
    return fmt::format("--width {} and --hidden {} must be multiples of 16, the block of the formats", s.width, s.hidden);
  if (o.batch % o.microBatches != 0)
    return fmt::format("--batch {} is not a multiple of --micro-batches {}", o.batch, o.microBatches);
  if (o.resume && o.overwrite)
    return "--resume keeps what is in --out and --overwrite deletes it: choose one";
  return "";
}

} // namespace

nlohmann::json Options::identity() const {
  return {{"recipe", recipe},
          {"seed", seed},
          {"vocabulary", shape.vocabulary},
          {"layers", shape.layers},
          {"width", shape.width},
          {"heads", shape.heads},
          {"hidden", shape.hidden},
          {"context", shape.context},
          {"tied", shape.tied},
          {"batch", batch},
          {"micro_batches", microBatches},
          {"steps", optimizer.steps},
          {"warmup", optimizer.warmup},
          {"lr", optimizer.learningRate},
          {"weight_decay", optimizer.weightDecay},
          {"clip", optimizer.clip},
          {"mean_bias", shape.meanBias},
          {"norm_bias", shape.normBias}};
}

int parseOptions(int argc, char **argv, Options &o) {
  CLI::App app("Trains a small GPT whose block linears compute in a Fourfold recipe.", "train_gpt");
  app.footer(kFooter);
  app.get_formatter()->column_width(28);
  app.option_defaults()->take_last(); // scripts append what they change
  CLI::Range positive(int64_t{1}, int64_t{1} << 40);
  CLI::Range natural(int64_t{0}, int64_t{1} << 40);

  app.add_option("--text", o.text, "UTF-8 text to learn; the last tenth of each of 20 blocks is held out")->required()->group("Data and output");
  app.add_option("--out", o.outDir, "folder of the run, made if missing")->required()->group("Data and output");
  app.add_flag("--resume", o.resume, "go on from the checkpoint in --out, if there is one")->group("Data and output");
  app.add_flag("--overwrite", o.overwrite, "delete a run that is in --out")->group("Data and output");
  app.add_option("--checkpoint-every", o.checkpointEvery, "steps between checkpoints; 0: only at the end")
      ->check(natural)->capture_default_str()->group("Data and output");
  app.add_option("--eval-every", o.evalEvery, "steps between validation losses; 0: only at the end")
      ->check(natural)->capture_default_str()->group("Data and output");
  app.add_option("--eval-sequences", o.evalSequences, "sequences of a validation loss")
      ->check(positive)->capture_default_str()->group("Data and output");
  app.add_flag("--health", o.health, "measure means and quantization of every block linear at each --eval-every")
      ->group("Data and output");
  app.add_flag("--quiet", o.quiet, "no progress, only errors")->group("Data and output");

  app.add_option("--recipe", o.recipe, "name or spec folder of the recipe of the block linears")
      ->capture_default_str()->group("Arithmetic");
  app.add_option("--device", o.device, "auto, host, blas or a device of the runtime such as emulated:sm_120a")
      ->capture_default_str()->group("Arithmetic");
  app.add_option("--threads", o.threads, "threads to use; 0: one a core. Results do not depend on it")
      ->check(natural)->capture_default_str()->group("Arithmetic");
  app.add_option("--seed", o.seed, "of parameters, data order and stochastic rounding")
      ->capture_default_str()->group("Arithmetic");
  app.add_option("--mean-bias", o.shape.meanBias,
                 "add to every embedding one fixed random vector, A times the embedding's rms: a coherent mean, as the activations "
                 "of large models have it. Training soon takes it off behind the first block")
      ->check(CLI::Range(0.0, 1e3))->capture_default_str()->group("Arithmetic");
  app.add_option("--norm-bias", o.shape.normBias,
                 "add to every block norm's output a fixed random vector of its own, A times the norm's rms at the start: the inputs of qkv and "
                 "gate_up have a mean of about A^2 / (1 + A^2) of their energy in all blocks")
      ->check(CLI::Range(0.0, 1e3))->capture_default_str()->group("Arithmetic");

  app.add_option("--layers", o.shape.layers, "blocks")->check(positive)->capture_default_str()->group("Model");
  app.add_option("--width", o.shape.width, "features of a token")->check(positive)->capture_default_str()->group("Model");
  app.add_option("--heads", o.shape.heads, "attention heads")->check(positive)->capture_default_str()->group("Model");
  o.shape.hidden = 0;
  app.add_option("--hidden", o.shape.hidden, "features inside the MLP; 0: three times the width")
      ->check(natural)->capture_default_str()->group("Model");
  app.add_option("--context", o.shape.context, "tokens of a sequence")->check(positive)->capture_default_str()->group("Model");
  app.add_option("--vocabulary", o.shape.vocabulary, "symbols of the tokenizer; 256: bytes")
      ->check(CLI::Range(256, 65535))->capture_default_str()->group("Model");
  app.add_flag("--tied", o.shape.tied, "one table for embedding and head")->group("Model");

  app.add_option("--steps", o.optimizer.steps, "optimizer steps")->check(positive)->capture_default_str()->group("Training");
  app.add_option("--batch", o.batch, "sequences of a step")->check(positive)->capture_default_str()->group("Training");
  app.add_option("--micro-batches", o.microBatches, "parts of a step whose gradients are accumulated")
      ->check(positive)->capture_default_str()->group("Training");
  app.add_option("--lr", o.optimizer.learningRate, "peak learning rate")
      ->check(CLI::PositiveNumber)->capture_default_str()->group("Training");
  app.add_option("--warmup", o.optimizer.warmup, "steps of linear warm-up")
      ->check(natural)->capture_default_str()->group("Training");
  app.add_option("--weight-decay", o.optimizer.weightDecay, "AdamW's, of the block linears")
      ->check(CLI::NonNegativeNumber)->capture_default_str()->group("Training");
  app.add_option("--clip", o.optimizer.clip, "largest norm of the gradient; 0: no limit")
      ->check(CLI::NonNegativeNumber)->capture_default_str()->group("Training");
  app.add_option("--stop-after", o.stopAfter, "stop with a checkpoint after this step, as Ctrl-C would; 0: never")
      ->check(natural)->capture_default_str()->group("Training");

  try {
    app.parse(argc, argv);
    if (o.shape.hidden == 0)
      o.shape.hidden = 3 * o.shape.width;
    if (std::string problem = contradiction(o); !problem.empty())
      throw CLI::ValidationError(problem);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);
    fmt::print(stderr, "train_gpt: {}\nRun train_gpt --help for the options.\n", error.what());
    return 2;
  }
  return -1;
}

} // namespace traingpt
