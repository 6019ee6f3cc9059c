// app/internal/topics_of_image.h
//
// What groups want to know of topics, over a metadata image.
#pragma once

#include "groups/topics_view.h"
#include "metadata/image.h"

namespace millrace::app {

class TopicsOfImage final : public groups::TopicsView {
public:
    explicit TopicsOfImage(metadata::ImagePtr image) : image_(std::move(image)) {}

    std::int64_t version() const override { return image_->provenance.end.value; }
    std::optional<groups::TopicInfo> find(std::string_view name) const override;
    std::optional<groups::TopicInfo> find(const Uuid& id) const override;
    void for_each(const std::function<void(const groups::TopicInfo&)>& visit) const override;
    bool has_consumer_groups() const override {
        return image_->feature_level(metadata::feature::group_version) > 0;
    }
    std::vector<std::string> racks(const Uuid& id, std::int32_t partition) const override;

private:
    metadata::ImagePtr image_;
};

}  // namespace millrace::app
