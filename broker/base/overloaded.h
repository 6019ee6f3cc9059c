// base/overloaded.h
//
// std::visit with a lambda per alternative.
#pragma once

namespace millrace {

template <typename... Callables>
struct Overloaded : Callables... {
    using Callables::operator()...;
};
template <typename... Callables>
Overloaded(Callables...) -> Overloaded<Callables...>;

}  // namespace millrace
