// operator/api/internal/kind_schemas.h
//
// What kinds.cc puts together: each kind's schemas are built beside its parser, where its
// description is included.
#pragma once

#include "operator/api/internal/describe.h"

namespace millrace::api {

struct KindSchemas {
    Json spec;
    Json status;
    std::vector<DescribedRule> rules;
};

KindSchemas cluster_schemas();
KindSchemas topic_schemas();
KindSchemas mirror_link_schemas();

}  // namespace millrace::api
