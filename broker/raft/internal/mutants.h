// raft/internal/mutants.h
//
// Planted bugs for the simulator to find: in a test build of the core, MR_MUTANT(name) is true for
// the one under test. In the product it is the constant false and nothing of this is compiled in.
#pragma once

#ifdef MILLRACE_RAFT_MUTANTS
namespace millrace::raft {
enum class Mutant {
    none,
    vote_not_synced,
    resume_leadership_in_same_epoch,
    high_watermark_before_leader_change,
    truncate_below_high_watermark,
    snapshot_off_by_one,
    directory_id_unchecked,
    leader_counts_unsynced,
    follower_fetches_unsynced,
    count_diverging_fetch,
    vote_for_shorter_log,
    vote_twice_in_epoch,
    two_changes_at_once,
    change_before_epoch_committed,
    removed_leader_still_counts,
    no_truncation_on_divergence,
    voters_not_undone_by_truncation,
    form_without_asking_everyone,
    recorded_addresses_only,
};
extern Mutant active_mutant;
}  // namespace millrace::raft
#define MR_MUTANT(name) (::millrace::raft::active_mutant == ::millrace::raft::Mutant::name)
#elif defined(MILLRACE_MUTANTS)  // whole brokers: base/mutants.h
#include "base/mutants.h"
#define MR_MUTANT(name) (::millrace::is_planted("quorum_" #name))
#else
#define MR_MUTANT(name) false
#endif
