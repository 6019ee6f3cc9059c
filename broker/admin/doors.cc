#include "admin/doors.h"

namespace millrace::admin {

namespace {

Error not_built(std::string_view what) {
    return Error::make(Code::unsupported, "this broker doesn't offer {} yet", what);
}

}  // namespace

Principal AdminDoors::principal_of(const Peer& peer) const {
    return peer.subject.empty() ? Principal{} : Principal{"User", peer.subject};
}

std::unique_ptr<Subscription> AdminDoors::watch_health(UniqueFunction<void(Health)>) {
    return nullptr;
}

void AdminDoors::restart_check(Caller, RestartQuestion, Reply<RestartVerdict> reply) {
    reply(not_built("RestartCheck"));
}
void AdminDoors::restart_progress(Caller, BrokerId, BrokerEpoch, Reply<RestartProgress> reply) {
    reply(not_built("RestartProgress"));
}
void AdminDoors::drain_leaders(Caller, BrokerId, bool, Reply<DrainResult> reply) {
    reply(not_built("DrainLeaders"));
}
void AdminDoors::cordon(Caller, std::vector<BrokerId>, bool, Reply<std::vector<BrokerId>> reply) {
    reply(not_built("Cordon"));
}
void AdminDoors::unregister_broker(Caller, BrokerId, Reply<bool> reply) {
    reply(not_built("UnregisterBroker"));
}
void AdminDoors::describe_quorum(Caller, Reply<QuorumHealth> reply) {
    reply(not_built("DescribeQuorum"));
}
void AdminDoors::add_voter(Caller, Voter, Reply<bool> reply) {
    reply(not_built("AddVoter"));
}
void AdminDoors::remove_voter(Caller, BrokerId, Uuid, Reply<bool> reply) {
    reply(not_built("RemoveVoter"));
}
void AdminDoors::reload_certificates(Caller, Reply<std::vector<ReloadedCertificate>> reply) {
    reply(not_built("ReloadCertificates"));
}
void AdminDoors::apply_link(Caller, LinkChange, Reply<AppliedLink> reply) {
    reply(not_built("ApplyLink"));
}
void AdminDoors::delete_link(Caller, std::string, bool, Reply<bool> reply) {
    reply(not_built("DeleteLink"));
}
void AdminDoors::links(Caller, Reply<std::vector<KnownLink>> reply) {
    reply(not_built("GetLink"));
}
void AdminDoors::mirror_partitions(Caller, std::string,
                                   Reply<std::vector<mirror::PartitionView>> reply) {
    reply(not_built("ListMirrorPartitions"));
}
std::unique_ptr<Subscription> AdminDoors::watch_links(
    UniqueFunction<void(std::vector<KnownLink>)>) {
    return nullptr;
}
void AdminDoors::kafka(Caller, KafkaCall, Reply<Buffer> reply) {
    reply(not_built("topics, settings and groups"));
}

}  // namespace millrace::admin
