----------------------------- MODULE Durability -----------------------------
(* One partition's replicas under the durability table: what an acknowledgement with acks=all means when
   machines lose power. Small on purpose: three brokers, a few records, every interleaving.

   A replica has a log in the page cache and a prefix of it on the disk (its synced end). A power cut takes the
   log back to what is on the disk; a broker that comes back with all it had synced keeps its place in the ISR.
   The controller is one step: it elects from the ISR and takes brokers out of it; proposals of the leader are
   answered later, so the leader counts the maximal ISR (committed and proposed) meanwhile.

   Synced = TRUE is millrace.durability=synced; FALSE is Kafka's way, where TLC finds the loss. *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Brokers, MinIsr, MaxRecords, MaxEpoch, MaxCuts, Synced

VARIABLES log,       \* log[b]: the records in b's page cache, each the epoch it was written in and a number
          disk,      \* disk[b]: how many of them are on the disk
          up,        \* who runs
          isr,       \* the controller's
          proposed,  \* what the leader asked for and has no answer to; {} : nothing
          leader, epoch,
          known,     \* known[b]: what the leader knows b to hold, in this epoch
          hw,        \* the leader's high watermark
          start,     \* where the leader's log ended when it was elected: at most so far was acknowledged
          acked,     \* every record that was ever acknowledged, by offset
          cuts

vars == <<log, disk, up, isr, proposed, leader, epoch, known, hw, start, acked, cuts>>
None == "none"
Min(S) == CHOOSE x \in S : \A y \in S : x <= y
Prefix(s, n) == SubSeq(s, 1, n)
SmallerOf(a, b) == IF a < b THEN a ELSE b

Init == /\ log = [b \in Brokers |-> <<>>]
        /\ disk = [b \in Brokers |-> 0]
        /\ up = Brokers
        /\ isr = Brokers
        /\ proposed = {}
        /\ leader = CHOOSE b \in Brokers : TRUE
        /\ epoch = 1
        /\ known = [b \in Brokers |-> 0]
        /\ hw = 0
        /\ start = 0
        /\ acked = <<>>
        /\ cuts = 0

Leads == leader # None /\ leader \in up

Write  == /\ Leads
          /\ Len(log[leader]) < MaxRecords
          /\ log' = [log EXCEPT ![leader] = Append(@, epoch)]
          /\ UNCHANGED <<disk, up, isr, proposed, leader, epoch, known, hw, acked, cuts, start>>

Sync(b) == /\ b \in up
           /\ disk[b] < Len(log[b])
           /\ disk' = [disk EXCEPT ![b] = Len(log[b])]
           /\ UNCHANGED <<log, up, isr, proposed, leader, epoch, known, hw, acked, cuts, start>>

(* Where two logs agree: the longest common prefix. The protocol finds it by leader epochs. *)
Common(s, t) == CHOOSE n \in 0..SmallerOf(Len(s), Len(t)) :
                    /\ Prefix(s, n) = Prefix(t, n)
                    /\ (n = SmallerOf(Len(s), Len(t)) \/ s[n + 1] # t[n + 1])

(* A fetch: cut what diverges, take one record more, tell what is held: the synced end or the log end. *)
Fetch(b) ==
    /\ Leads /\ b \in up /\ b # leader
    /\ LET same == Common(log[b], log[leader])
           cut == Prefix(log[b], same)
           next == IF same < Len(log[leader]) THEN Append(cut, log[leader][same + 1]) ELSE cut
           held == SmallerOf(disk[b], same)
       IN /\ log' = [log EXCEPT ![b] = next]
          /\ disk' = [disk EXCEPT ![b] = held]
          /\ known' = [known EXCEPT ![b] = IF Synced THEN held ELSE Len(next)]
    /\ UNCHANGED <<up, isr, proposed, leader, epoch, hw, acked, cuts, start>>

Own == IF Synced THEN disk[leader] ELSE Len(log[leader])
Counted(b) == IF b = leader THEN Own ELSE known[b]
Reached == Min({Counted(b) : b \in isr \cup proposed \cup {leader}})

(* The high watermark moves, and what it passes is acknowledged. *)
Commit == /\ Leads
          /\ Cardinality(isr) >= MinIsr
          /\ Reached > hw
          /\ hw' = Reached
          /\ acked' = IF Reached > Len(acked) THEN Prefix(log[leader], Reached) ELSE acked
          /\ UNCHANGED <<log, disk, up, isr, proposed, leader, epoch, known, cuts, start>>

(* The leader asks for an ISR with one member more or less; the controller decides some time later. *)
Propose == /\ Leads /\ proposed = {}
           /\ \E b \in Brokers \ {leader} :
                 \/ b \in isr /\ proposed' = isr \ {b}
                 \/ b \notin isr /\ b \in up /\ known[b] >= hw /\ known[b] >= start /\ proposed' = isr \cup {b}
           /\ UNCHANGED <<log, disk, up, isr, leader, epoch, known, hw, acked, cuts, start>>

Decide == /\ Leads /\ proposed # {}
          /\ \/ proposed \subseteq up /\ isr' = proposed
             \/ isr' = isr
          /\ proposed' = {}
          /\ UNCHANGED <<log, disk, up, leader, epoch, known, hw, acked, cuts, start>>

(* Fencing: out of the ISR, unless it is the last one, and another leader from the ISR. *)
Elect == /\ epoch < MaxEpoch
         /\ (leader = None \/ leader \notin up)
         /\ LET alive == isr \cap up
            IN /\ alive # {}
               /\ \E b \in alive : leader' = b /\ start' = Len(log[b])
               /\ isr' = alive
         /\ epoch' = epoch + 1
         /\ proposed' = {}
         /\ known' = [b \in Brokers |-> 0]
         /\ hw' = 0
         /\ UNCHANGED <<log, disk, up, acked, cuts>>

(* Power: the page cache is gone. *)
Cut(b) == /\ b \in up /\ cuts < MaxCuts
          /\ up' = up \ {b}
          /\ log' = [log EXCEPT ![b] = Prefix(@, disk[b])]
          /\ cuts' = cuts + 1
          /\ UNCHANGED <<disk, isr, proposed, leader, epoch, known, hw, acked, start>>

(* Everybody at once. *)
Blackout == /\ up # {} /\ cuts < MaxCuts
            /\ up' = {}
            /\ log' = [b \in Brokers |-> Prefix(log[b], disk[b])]
            /\ cuts' = cuts + 1
            /\ UNCHANGED <<disk, isr, proposed, leader, epoch, known, hw, acked, start>>

(* Back again. Its registration ends what its predecessor led, so nobody goes on in the old epoch. *)
Return(b) == /\ b \notin up
             /\ up' = up \cup {b}
             /\ leader' = IF leader = b THEN None ELSE leader
             /\ known' = [known EXCEPT ![b] = 0]
             /\ UNCHANGED <<log, disk, isr, proposed, epoch, hw, acked, cuts, start>>

Next == \/ Write \/ Commit \/ Propose \/ Decide \/ Elect \/ Blackout
        \/ \E b \in Brokers : Sync(b) \/ Fetch(b) \/ Cut(b) \/ Return(b)

Spec == Init /\ [][Next]_vars

(* ---- What must hold ---- *)

Has(b, n) == Len(log[b]) >= n /\ Prefix(log[b], n) = Prefix(acked, n)

(* Nobody who may be elected lacks anything that was acknowledged. *)
LeaderCandidateCompleteness == \A b \in isr \cap up : Has(b, Len(acked))
(* And so whoever leads has it. *)
LeaderCompleteness == Leads /\ leader \in isr => Has(leader, Len(acked))
(* Acknowledged means: on MinIsr disks. *)
SyncedBeforeAcked == Synced => Cardinality({b \in Brokers : disk[b] >= Len(acked) /\ Has(b, Len(acked))}) >= MinIsr
=============================================================================
