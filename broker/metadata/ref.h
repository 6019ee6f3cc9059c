// metadata/ref.h
//
// Ref<T>: shared ownership with the count inside the object, for the many small immutable objects
// of an image. The count is atomic, because images are read on every shard; the object behind a Ref
// that others share is never changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace millrace::metadata {

class RefCounted {
public:
    RefCounted() = default;
    RefCounted(const RefCounted&) {}  // a copy is a new object with owners of its own
    RefCounted& operator=(const RefCounted&) { return *this; }

    /// True if exactly one Ref leads here. Only meaningful to the thread that holds that Ref.
    bool has_one_owner() const { return owners_.load(std::memory_order_acquire) == 1; }

private:
    template <typename T>
    friend class Ref;
    mutable std::atomic<std::uint32_t> owners_{0};
};

template <typename T>
class Ref {
public:
    Ref() = default;
    Ref(std::nullptr_t) {}  // NOLINT: as shared_ptr
    explicit Ref(T* object) : object_(object) { acquire(); }
    Ref(const Ref& other) : object_(other.object_) { acquire(); }
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    template <typename U>
        requires std::is_convertible_v<U*, T*>
    Ref(const Ref<U>& other) : object_(other.get()) {  // NOLINT: Ref<T> to Ref<const T>
        acquire();
    }
    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref() { release(); }

    T* get() const { return object_; }
    T& operator*() const { return *object_; }
    T* operator->() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }
    friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

private:
    void acquire() const {
        if (object_ != nullptr) {
            object_->owners_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    void release() {
        if (object_ != nullptr && object_->owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            delete object_;
        }
    }

    T* object_ = nullptr;
};

template <typename T, typename... Args>
Ref<T> make_ref(Args&&... args) {
    return Ref<T>(new std::remove_const_t<T>(std::forward<Args>(args)...));
}

}  // namespace millrace::metadata
