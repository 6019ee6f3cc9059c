// base/unique_function.h
//
// UniqueFunction<R(Args...)>: a move-only callable, for completions that own what they answer.
// Callables up to 48 bytes live inside; larger ones take one allocation.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace millrace {

template <typename Signature>
class UniqueFunction;

template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
public:
    UniqueFunction() = default;
    UniqueFunction(std::nullptr_t) {}  // NOLINT: as std::function

    template <typename F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    UniqueFunction(F&& callable) {  // NOLINT: as std::function
        using Callable = std::decay_t<F>;
        if constexpr (fits<Callable>) {
            ::new (static_cast<void*>(storage_)) Callable(std::forward<F>(callable));
            table_ = &inline_table<Callable>;
        } else {
            auto* owned = new Callable(std::forward<F>(callable));
            ::new (static_cast<void*>(storage_)) Callable*(owned);
            table_ = &heap_table<Callable>;
        }
    }

    UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
    UniqueFunction& operator=(UniqueFunction&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    UniqueFunction(const UniqueFunction&) = delete;
    UniqueFunction& operator=(const UniqueFunction&) = delete;
    ~UniqueFunction() { reset(); }

    explicit operator bool() const { return table_ != nullptr; }

    R operator()(Args... args) {
        MR_ASSERT(table_ != nullptr);
        return table_->call(storage_, std::forward<Args>(args)...);
    }

private:
    static constexpr std::size_t inline_size = 48;
    struct Table {
        R (*call)(void*, Args&&...);
        void (*move)(void* to, void* from);
        void (*destroy)(void*);
    };
    template <typename C>
    static constexpr bool fits = sizeof(C) <= inline_size &&
                                 alignof(C) <= alignof(std::max_align_t) &&
                                 std::is_nothrow_move_constructible_v<C>;
    template <typename C>
    static constexpr Table inline_table = {
        [](void* at, Args&&... args) -> R {
            return std::invoke(*static_cast<C*>(at), std::forward<Args>(args)...);
        },
        [](void* to, void* from) {
            ::new (to) C(std::move(*static_cast<C*>(from)));
            static_cast<C*>(from)->~C();
        },
        [](void* at) { static_cast<C*>(at)->~C(); }};
    template <typename C>
    static constexpr Table heap_table = {
        [](void* at, Args&&... args) -> R {
            return std::invoke(**static_cast<C**>(at), std::forward<Args>(args)...);
        },
        [](void* to, void* from) { ::new (to) C*(*static_cast<C**>(from)); },
        [](void* at) { delete *static_cast<C**>(at); }};

    void take(UniqueFunction& other) {
        table_ = other.table_;
        if (table_ != nullptr) {
            table_->move(storage_, other.storage_);
            other.table_ = nullptr;
        }
    }
    void reset() {
        if (table_ != nullptr) {
            table_->destroy(storage_);
            table_ = nullptr;
        }
    }

    alignas(std::max_align_t) std::byte storage_[inline_size];
    const Table* table_ = nullptr;
};

}  // namespace millrace
