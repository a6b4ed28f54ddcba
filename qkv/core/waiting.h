// How threads wait for one another.
#pragma once

namespace qkv::detail {

// Called where work is shared out. OpenMP's threads wait awake for some milliseconds (libgomp's manual,
// GOMP_SPINCOUNT), which is fastest as long as every thread has a processor. Where other programs want the processors
// too, a thread that waits spends the time that the one it waits for would need, and work comes nearly to a stand. So
// while the system is seen to take processors away from this process, libgomp is led to put waiting threads to sleep
// after microseconds. Who sets OMP_WAIT_POLICY or GOMP_SPINCOUNT has chosen, and is left alone.
void watch_processors();

}  // namespace qkv::detail
