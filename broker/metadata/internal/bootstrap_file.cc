#include "metadata/bootstrap_file.h"

#include "metadata/delta.h"
#include "metadata/features.h"
#include "metadata/internal/replay_batch.h"
#include "record/batch_view.h"
#include "record/compression.h"

namespace millrace::metadata {

Result<std::map<std::string, std::int16_t, std::less<>>> bootstrap_file_features(ByteView file) {
    Delta delta{Image{}};
    record::Decompressor decompressor;
    while (!file.empty()) {
        MR_TRY(const record::BatchView batch, record::BatchView::parse(file));
        MR_TRY_VOID(batch.check());
        if (!batch.is_control()) {  // Those frame a snapshot and name its time.
            MR_TRY_VOID(replay_batch(delta, batch, decompressor));
        }
        file = file.subspan(batch.size());
    }
    const Image image = delta.after();
    if (image.metadata_version().level == 0) {
        return Error::make(Code::corrupt, "no metadata.version");
    }
    std::map<std::string, std::int16_t, std::less<>> levels;
    for (const FeatureInfo& info : known_features()) {
        const std::int16_t level = image.feature_level(info.name);
        if (level > info.max) {
            return Error::make(Code::unsupported, "{} {}: this build runs up to {}", info.name,
                               level, info.max);
        }
        levels.emplace(info.name, level);
    }
    return levels;
}

}  // namespace millrace::metadata
