// app/internal/cluster_doubt.h
//
// Whether this node was started for another cluster than the one that it is told to join, as a
// mistyped cluster.id or a wrong list of controllers makes it. Pure. One peer that says so may be
// the one that is wrong; once any takes us for one of its own there is no doubt for this run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>

namespace millrace::app {

class ClusterDoubt {
public:
    /// `others`: how many nodes are listed as controllers besides this one.
    explicit ClusterDoubt(std::size_t others) : others_(std::max<std::size_t>(1, others)) {}

    void taken() { is_settled_ = true; }
    bool is_settled() const { return is_settled_; }

    /// A peer answered that we are of another cluster. Whether it is to be asked of which it is.
    bool refused(const std::string& peer) {
        return !is_settled_ && told_.try_emplace(peer, std::string{}).second;
    }
    /// It is of `cluster`; empty: it didn't say.
    void told(const std::string& peer, std::string cluster) {
        told_[peer] = std::move(cluster);
        ++answered_;
    }
    /// It gave no answer: it is asked again with the next refusal.
    void unheard(const std::string& peer) { told_.erase(peer); }
    /// More than half of the others are of another cluster, and nobody is of ours.
    bool is_certain() const { return !is_settled_ && answered_ * 2 > others_; }
    /// By peer, with its cluster.
    const std::map<std::string, std::string>& peers() const { return told_; }

private:
    std::size_t others_;
    std::map<std::string, std::string> told_;
    std::size_t answered_ = 0;
    bool is_settled_ = false;
};

}  // namespace millrace::app
