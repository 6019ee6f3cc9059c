// metadata/persistent_map.h
//
// PersistentMap<Key, Value>: an ordered map whose copies share what they have in common. Copying is
// one pointer; a change copies the path to one leaf (or nothing, where this map is the only owner
// of the path), so deriving an image costs what changed and not what is there. Ordered, hence every
// iteration is the same on every node.
//
// Copies may be read on any thread; one map object is changed by one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "metadata/ref.h"

namespace millrace::metadata {

template <typename Key, typename Value, typename Less = std::less<>>
class PersistentMap {
    struct Node;
    using NodeRef = Ref<Node>;

public:
    struct Entry {
        Key key;
        [[no_unique_address]] Value value;
        friend bool operator==(const Entry&, const Entry&) = default;
    };

    class Iterator {
    public:
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;
        using reference = const Entry&;
        using pointer = const Entry*;
        using iterator_category = std::forward_iterator_tag;

        Iterator() = default;
        reference operator*() const {
            return path_[depth_ - 1].node->entries[path_[depth_ - 1].at];
        }
        pointer operator->() const { return &**this; }
        Iterator& operator++() {
            ++path_[depth_ - 1].at;
            settle();
            return *this;
        }
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const Iterator& a, const Iterator& b) {
            return a.depth_ == b.depth_ &&
                   (a.depth_ == 0 || (a.path_[a.depth_ - 1].node == b.path_[b.depth_ - 1].node &&
                                      a.path_[a.depth_ - 1].at == b.path_[b.depth_ - 1].at));
        }

    private:
        friend class PersistentMap;
        struct Step {
            const Node* node = nullptr;
            std::size_t at = 0;
        };

        void push(const Node* node, std::size_t at) {
            MR_ASSERT(depth_ < path_.size());
            path_[depth_++] = {node, at};
        }
        /// Moves on to the next entry if the path stands past the end of a node.
        void settle() {
            while (depth_ > 0 && path_[depth_ - 1].at >= path_[depth_ - 1].node->width()) {
                if (--depth_ > 0) {
                    ++path_[depth_ - 1].at;
                }
            }
            while (depth_ > 0 && !path_[depth_ - 1].node->is_leaf()) {
                const Step& top = path_[depth_ - 1];
                push(top.node->children[top.at].get(), 0);
            }
        }

        std::array<Step, 12> path_{};
        std::size_t depth_ = 0;  ///< 0: the end.
    };
    using iterator = Iterator;
    using const_iterator = Iterator;

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    template <typename K>
    const Value* find(const K& key) const {
        const Node* node = root_.get();
        while (node != nullptr && !node->is_leaf()) {
            node = node->children[node->child_for(key)].get();
        }
        if (node == nullptr) {
            return nullptr;
        }
        const std::size_t at = node->place_of(key);
        return node->holds(at, key) ? &node->entries[at].value : nullptr;
    }
    template <typename K>
    bool contains(const K& key) const {
        return find(key) != nullptr;
    }

    Iterator begin() const {
        Iterator it;
        if (root_) {
            it.push(root_.get(), 0);
            it.settle();
        }
        return it;
    }
    Iterator end() const { return {}; }

    /// The first entry whose key is not less than `key`.
    template <typename K>
    Iterator lower_bound(const K& key) const {
        Iterator it;
        const Node* node = root_.get();
        while (node != nullptr && !node->is_leaf()) {
            const std::size_t at = node->child_for(key);
            it.push(node, at);
            node = node->children[at].get();
        }
        if (node != nullptr) {
            it.push(node, node->place_of(key));
            it.settle();
        }
        return it;
    }

    /// Inserts or replaces.
    void set(Key key, Value value) {
        if (!root_) {
            root_ = make_ref<Node>();
        }
        if (NodeRef right = insert(root_, std::move(key), std::move(value)); right) {
            auto top = make_ref<Node>();
            top->firsts.push_back(root_->first());
            top->firsts.push_back(right->first());
            top->children.push_back(std::move(root_));
            top->children.push_back(std::move(right));
            root_ = std::move(top);
        }
    }

    /// The value to change in place, after un-sharing the way to it; null if absent.
    template <typename K>
    Value* mutate(const K& key) {
        if (!contains(key)) {
            return nullptr;
        }
        NodeRef* at = &root_;
        while (true) {
            Node* node = own(*at);
            if (node->is_leaf()) {
                return &node->entries[node->place_of(key)].value;
            }
            at = &node->children[node->child_for(key)];
        }
    }

    /// True if it was there.
    template <typename K>
    bool erase(const K& key) {
        if (!contains(key)) {
            return false;
        }
        erase_below(root_, key);
        --size_;
        while (root_ && !root_->is_leaf() && root_->children.size() == 1) {
            NodeRef only = root_->children.front();
            root_ = std::move(only);
        }
        if (size_ == 0) {
            root_ = nullptr;
        }
        return true;
    }

    /// Same content; quick where the two share structure.
    friend bool operator==(const PersistentMap& a, const PersistentMap& b) {
        return a.root_ == b.root_ ||
               (a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin()));
    }
    /// The very same tree: nothing was changed since one was copied from the other.
    bool is_same_as(const PersistentMap& other) const { return root_ == other.root_; }

private:
    static constexpr std::size_t max_width = 32;
    static constexpr std::size_t low_width = max_width / 4;

    struct Node : RefCounted {
        std::vector<Entry> entries;     // of a leaf
        std::vector<Key> firsts;        // of an inner node: nothing below children[i] is less
        std::vector<NodeRef> children;  // of an inner node

        bool is_leaf() const { return children.empty(); }
        std::size_t width() const { return is_leaf() ? entries.size() : children.size(); }
        const Key& first() const { return is_leaf() ? entries.front().key : firsts.front(); }

        template <typename K>
        std::size_t child_for(const K& key) const {
            const auto after = std::upper_bound(firsts.begin(), firsts.end(), key, Less{});
            return after == firsts.begin() ? 0
                                           : static_cast<std::size_t>(after - firsts.begin()) - 1;
        }
        template <typename K>
        std::size_t place_of(const K& key) const {
            const auto at = std::lower_bound(
                entries.begin(), entries.end(), key,
                [](const Entry& entry, const K& wanted) { return Less{}(entry.key, wanted); });
            return static_cast<std::size_t>(at - entries.begin());
        }
        template <typename K>
        bool holds(std::size_t at, const K& key) const {
            return at < entries.size() && !Less{}(key, entries[at].key);
        }
    };

    static Node* own(NodeRef& at) {
        if (!at->has_one_owner()) {
            at = make_ref<Node>(*at);
        }
        return at.get();
    }

    /// Moves the tail of a full vector to a new one. Appending in order leaves full nodes behind.
    template <typename T>
    static void split_tail(std::vector<T>& from, std::vector<T>& to, std::size_t keep) {
        const auto cut = from.begin() + static_cast<std::ptrdiff_t>(keep);
        to.assign(std::make_move_iterator(cut), std::make_move_iterator(from.end()));
        from.erase(cut, from.end());
    }
    static std::size_t kept_of(std::size_t width, std::size_t inserted_at) {
        return inserted_at + 1 == width ? width - 1 : width / 2;
    }

    /// Returns the new right neighbour if `at` had to be split.
    NodeRef insert(NodeRef& at, Key key, Value value) {
        Node* node = own(at);
        if (node->is_leaf()) {
            return insert_into_leaf(*node, std::move(key), std::move(value));
        }
        if (Less{}(key, node->firsts.front())) {
            node->firsts.front() = key;
        }
        const std::size_t child = node->child_for(key);
        NodeRef right = insert(node->children[child], std::move(key), std::move(value));
        if (!right) {
            return {};
        }
        const auto place = static_cast<std::ptrdiff_t>(child) + 1;
        node->firsts.insert(node->firsts.begin() + place, right->first());
        node->children.insert(node->children.begin() + place, std::move(right));
        if (node->children.size() <= max_width) {
            return {};
        }
        auto sibling = make_ref<Node>();
        const std::size_t keep = kept_of(node->children.size(), child + 1);
        split_tail(node->firsts, sibling->firsts, keep);
        split_tail(node->children, sibling->children, keep);
        return sibling;
    }

    NodeRef insert_into_leaf(Node& leaf, Key key, Value value) {
        const std::size_t place = leaf.place_of(key);
        if (leaf.holds(place, key)) {
            leaf.entries[place].value = std::move(value);
            return {};
        }
        leaf.entries.insert(leaf.entries.begin() + static_cast<std::ptrdiff_t>(place),
                            Entry{std::move(key), std::move(value)});
        ++size_;
        if (leaf.entries.size() <= max_width) {
            return {};
        }
        auto sibling = make_ref<Node>();
        split_tail(leaf.entries, sibling->entries, kept_of(leaf.entries.size(), place));
        return sibling;
    }

    template <typename K>
    static void erase_below(NodeRef& at, const K& key) {
        Node* node = own(at);
        if (node->is_leaf()) {
            node->entries.erase(node->entries.begin() +
                                static_cast<std::ptrdiff_t>(node->place_of(key)));
            return;
        }
        const std::size_t child = node->child_for(key);
        erase_below(node->children[child], key);
        if (node->children[child]->width() == 0) {
            drop_child(*node, child);
        } else if (node->children[child]->width() < low_width) {
            merge_around(*node, child);
        }
    }

    static void drop_child(Node& node, std::size_t child) {
        const auto place = static_cast<std::ptrdiff_t>(child);
        node.firsts.erase(node.firsts.begin() + place);
        node.children.erase(node.children.begin() + place);
    }

    /// Joins a thin child with a neighbour that has room for it.
    static void merge_around(Node& node, std::size_t child) {
        const std::size_t left = child > 0 ? child - 1 : child;
        if (left + 1 >= node.children.size() ||
            node.children[left]->width() + node.children[left + 1]->width() > max_width * 3 / 4) {
            return;
        }
        Node* into = own(node.children[left]);
        const Node& from = *node.children[left + 1];
        into->entries.insert(into->entries.end(), from.entries.begin(), from.entries.end());
        into->children.insert(into->children.end(), from.children.begin(), from.children.end());
        into->firsts.insert(into->firsts.end(), from.firsts.begin(), from.firsts.end());
        drop_child(node, left + 1);
    }

    NodeRef root_;
    std::size_t size_ = 0;
};

/// The value type of a PersistentSet: nothing.
struct Nothing {
    friend bool operator==(const Nothing&, const Nothing&) = default;
};
template <typename Key>
using PersistentSet = PersistentMap<Key, Nothing>;

}  // namespace millrace::metadata
