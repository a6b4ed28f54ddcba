// How the emulated device records work: as a list of what a replay does.
#pragma once

#include <functional>

namespace qkv::cuda {
class RecordedMemory;
}

namespace qkv::cuda::emulated {

// Does the step, or, while this thread records, puts it down for replays.
void do_or_record(std::function<void()> step);

// Throws NotRecordable while this thread records.
void refuse_to_record(const char* what);

// Where the recording's memory comes from; null while this thread does not record.
RecordedMemory* recorded_memory();

}  // namespace qkv::cuda::emulated
