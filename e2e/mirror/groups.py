"""Moments of moments.py about consumer groups: their positions go with the roles, there, back and there again."""
import subprocess
import time

import wire
from sides import HERE, PEER, Writer, expect, expect_kept, moment, same, until


def at(side, group):
    found = []
    until(lambda: found.append(wire.Broker(side.address).coordinator(group)) or True, 20, f"{group} has a coordinator")
    return wire.Broker(found[0])


def commit(side, group, offset):
    errors = at(side, group).commit(group, {("t", 0): offset})
    expect(set(errors.values()) == {0}, f"{group} can't commit: {errors}")


def position(side, group):
    return at(side, group).committed(group, [("t", 0)])["t", 0]


def is_mirrored(side, name):
    return lambda: side.in_state("mirroring", name)


@moment
def positions_go_there_and_back_and_there_again(world):
    """A group commits wherever the topic is written, and each time the roles change it goes on where it was: also where it had committed before, when that
    side led the last time. A group that was only ever used on one side comes along, too."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    writer = Writer([("t", 0)], east, west)
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    commits, leader, follower, link, back = 0, east, west, "there", "back"
    for turn in range(4):
        writer.wait_for(leader, 100)
        commits = commits + 40
        commit(leader, "g", commits)
        if turn == 1:
            commit(leader, "late", 7)
        until(lambda: position(follower, "g") == commits, 20, f"turn {turn}: the standby has the position {commits}, not {position(follower, 'g')}")
        commit(leader, "g", commits + 5)  # and at once the switchover: its last sync takes it along
        commits += 5
        follower.link(leader, "PROMOTED", truncate=True, name=link)
        until(lambda: follower.in_state("promoted", link), 40, "promoted")
        expect(position(follower, "g") == commits, f"turn {turn}: the position is {position(follower, 'g')}, not {commits}")
        leader.link(follower, truncate=True, name=back)
        until(is_mirrored(leader, back), 60, "the old primary follows")
        leader, follower, link, back = follower, leader, back, link
    expect(position(leader, "late") == 7 and position(follower, "late") == 7, "a group that came later was not taken along")
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 40, "level")
    expect_kept(writer.all(), west.address, ["t"])
    return f"{len(writer.all())} records in four switchovers, the group is at {commits}"


@moment
def a_position_in_a_lost_tail_does_not_stay(world):
    """The primary had records and a position that never arrived. It comes back and follows: its tail is cut, and the position is where the group goes on now,
    not somewhere in records that the group has never seen."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    writer = Writer([("t", 0)], east)
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    writer.wait_for(east, 100)
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    common = len(writer.all())
    commit(east, "g", common - 10)
    until(lambda: position(west, "g") == common - 10, 20, "the position is there")
    west.link(east, "PAUSED", name="there")
    until(lambda: west.in_state("paused", "there"), 20, "paused")
    lost = Writer([("t", 0)], east)
    lost.wait_for(east, 80)
    lost.stop()
    commit(east, "g", common + 60)
    west.link(east, "PROMOTED", "FORCED", name="there")
    until(lambda: west.in_state("promoted", "there"), 30, "promoted by force")
    after = Writer([("t", 0)], west)
    after.wait_for(west, 40)
    after.stop()
    east.link(west, truncate=True, name="back")
    until(lambda: same(east.address, west.address, "t"), 40, "healed")
    until(lambda: position(east, "g") == common - 10, 20, f"the position is that of the side that leads, {common - 10}, not {position(east, 'g')}")
    return f"{common} common records, {len(lost.all())} lost, the group goes on at {common - 10}"


@moment
def positions_outlive_their_link(world):
    """A link is deleted and made again: the positions that the old one wrote are nobody's, and follow the source's on."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    writer = Writer([("t", 0)], east)
    writer.wait_for(east, 100)
    writer.stop()
    west.link(east, name="first")
    until(is_mirrored(west, "first"), 40, "mirrored")
    commit(east, "g", 30)
    until(lambda: position(west, "g") == 30, 20, "the position is there")
    west.call("DeleteLink", {"name": "first", "topics": "TOPICS_KEEP_READ_ONLY"})
    west.link(east, name="second")
    until(is_mirrored(west, "second"), 40, "mirrored again")
    commit(east, "g", 60)
    until(lambda: position(west, "g") == 60, 20, f"the position follows under the new link: 60, not {position(west, 'g')}")
    return "30, then 60 under another link"


@moment
def a_thousand_groups_hold_up_no_switchover(world):
    """A thousand groups, each with a position of its own, all of them moved by one planned promotion, and none of them off by one."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    writer = Writer([("t", 0)], east)
    writer.wait_for(east, 1200)
    writer.stop()
    west.link(east, groups={"include": ["*"], "interval_ms": 3_600_000})  # so that the promotion has all of them to copy
    until(is_mirrored(west, "link"), 40, "mirrored")
    connection = at(east, "g0")
    for n in range(1000):
        errors = connection.commit(f"g{n}", {("t", 0): n + 1})
        expect(set(errors.values()) == {0}, f"g{n} can't commit: {errors}")
    start = time.monotonic()
    west.link(east, "PROMOTED", groups={"include": ["*"], "interval_ms": 3_600_000})
    until(lambda: west.in_state("promoted"), 60, "promoted")
    took = time.monotonic() - start
    there = at(west, "g0")
    wrong = [n for n in range(1000) if there.committed(f"g{n}", [("t", 0)])["t", 0] != n + 1]
    expect(not wrong, f"positions of {len(wrong)} groups are wrong: {wrong[:5]}")
    return f"1000 groups, promoted in {took:.1f} s"


@moment
def positions_come_along_from_a_paused_link(world):
    """One topic of a paused link is promoted by plan: the group's position is what it is at the source, not what it was when the link was paused."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    writer = Writer([("t", 0)], east)
    west.link(east)
    until(is_mirrored(west, "link"), 40, "mirrored")
    writer.wait_for(east, 100)
    commit(east, "g", 30)
    until(lambda: position(west, "g") == 30, 20, "the position is there")
    west.link(east, "PAUSED")
    until(lambda: west.in_state("paused"), 20, "paused")
    writer.wait_for(east, 100)
    writer.stop()
    commit(east, "g", 90)
    west.link(east, "PAUSED", topic_states={"t": "LINK_DESIRED_PROMOTED"})
    until(lambda: west.in_state("promoted"), 30, "promoted")
    expect(position(west, "g") == 90, f"the position is {position(west, 'g')}, not 90")
    report = west.state().get("last_failover", west.state().get("lastFailover", {}))
    expect(int(report.get("lost_records_at_most", report.get("lostRecordsAtMost", 0))) == 0, f"a drained promotion reports a loss: {report}")
    expect_kept(writer.all(), west.address, ["t"])
    return f"{len(writer.all())} records, the group is at 90"


@moment
def a_position_behind_a_cut_is_set_back(world):
    """A promotion cuts what was undecided (openTransactions: TruncateToLastStable). A group that had read it would pass over what is written there next: it
    is set back to where the history ends, and told. One in front of the cut stays, and who has moved on since is left alone."""
    kafka, west = world.kafka(), world.ours("west")
    kafka.topic("t", 2)
    done = subprocess.run(["timeout", "100", PEER, "java", str(HERE / "Transactions.java"), kafka.address, "t"], env=kafka.env, capture_output=True, text=True)
    expect(done.returncode == 0, f"transactions at the source: {done.stderr[-300:]}")
    writer = Writer([("t", 0)], kafka)
    writer.wait_for(kafka, 100)
    writer.stop()
    for group, offset in (("behind", 200), ("front", 20)):
        until(lambda: commit(kafka, group, offset) or True, 20, f"{group} commits")
    cut = {"policy": {"open_transactions": "OPEN_TRANSACTIONS_TRUNCATE_TO_LAST_STABLE"}}
    west.link(kafka, **cut)
    until(is_mirrored(west, "link"), 30, "mirrored")
    until(lambda: (position(west, "behind"), position(west, "front")) == (200, 20), 30, "positions are copied")
    west.link(kafka, "PROMOTED", "FORCED", **cut)
    until(lambda: west.in_state("promoted"), 30, "promoted")
    end = int([one.split(":")[2] for one in west.setting("t", "millrace.mirror.promotion").split(",") if one.startswith("0:")][0])
    expect(20 < end < 200, f"the mirror ends at {end}: nothing was shown")
    until(lambda: position(west, "behind") == end, 20, "the position behind the cut is set back")
    expect(position(west, "front") == 20, "a position in front of the cut was changed")
    report = west.state().get("last_failover", west.state().get("lastFailover", {}))
    expect([one.get("group") for one in report.get("clamped", [])] == ["behind"], f"told: {report.get('clamped')}")
    after = Writer([("t", 0)], west)
    after.wait_for(west, 150)
    after.stop()
    commit(west, "behind", end + 140)
    west.kill(1)
    west.start(1)
    until(is_there(west), 30, "it is there again")
    time.sleep(6)
    expect(position(west, "behind") == end + 140, "who has moved on was set back once more")
    return f"from 200 to {end}"


def is_there(side):
    return lambda: side.in_state("promoted")
