// report.html: the loss curves of a run as one self-contained page.
#pragma once

#include "qkv/train/run_directory.h"

namespace qkv {

// Reads metrics.jsonl and writes report.html beside it: training and validation loss, learning rate, gradient norm and
// speed over steps, as SVG drawn by us; opens offline.
void write_report(const RunDirectory& directory);

}  // namespace qkv
