"""ACLs, quotas, credentials and tokens, on brokers that have no authorizer."""

from registry import case

ANY = {"ResourceTypeFilter": 1, "PatternTypeFilter": 1, "Operation": 1, "PermissionType": 1}


@case("DescribeAcls")
def acls_without_an_authorizer(side, version):
    side.ask("all", "DescribeAcls", version, ANY)


@case("CreateAcls")
def no_acl_is_made_without_an_authorizer(side, version):
    side.ask("one", "CreateAcls", version, {"Creations": [{"ResourceType": 2, "ResourceName": "t", "ResourcePatternType": 3,
                                                           "Principal": "User:a", "Host": "*", "Operation": 3, "PermissionType": 3}]})


@case("DeleteAcls")
def no_acl_is_dropped_without_an_authorizer(side, version):
    side.ask("all", "DeleteAcls", version, {"Filters": [ANY]})


@case("AlterClientQuotas")
def quotas(side, version):
    user = side.name("u")

    def alter(label, kind, name, *ops, **more):
        side.ask(label, "AlterClientQuotas", version, {"Entries": [{"Entity": [{"EntityType": kind, "EntityName": name}], "Ops": [
            {"Key": k, "Value": float(v), "Remove": r} for k, v, r in ops]}], **more})
    alter("set", "user", user, ("producer_byte_rate", 1000, False))
    alter("only validated", "user", user, ("producer_byte_rate", 5, False), ValidateOnly=True)
    alter("unknown key", "user", user, ("no_such_rate", 1, False))
    alter("negative", "user", user, ("producer_byte_rate", -1, False))
    alter("unknown kind", "planet", user, ("producer_byte_rate", 1, False))
    alter("fraction of a byte", "user", user, ("producer_byte_rate", 0.5, False))
    alter("bad address", "ip", "nowhere at all", ("connection_creation_rate", 1, False))
    of_the_user = {"Components": [{"EntityType": "user", "MatchType": 0, "Match": user}]}
    side.until("DescribeClientQuotas", of_the_user, lambda body: body["Entries"], version=1)  # Kafka shows it a while later
    side.ask("seen", "DescribeClientQuotas", 1, of_the_user)
    alter("removed", "user", user, ("producer_byte_rate", 0, True))
    side.until("DescribeClientQuotas", of_the_user, lambda body: not body["Entries"], version=1)
    side.ask("gone", "DescribeClientQuotas", 1, of_the_user)


@case("DescribeClientQuotas")
def quotas_of_filters_that_make_no_sense(side, version):
    def ask(label, *components):
        side.ask(label, "DescribeClientQuotas", version, {"Components": [{"EntityType": t, "MatchType": m, "Match": v} for t, m, v in components]})
    ask("unknown kind", ("planet", 0, "earth"))
    ask("no kind", ("", 0, "earth"))
    ask("a kind twice", ("user", 0, "a"), ("user", 0, "b"))
    ask("an unknown kind twice", ("planet", 0, "a"), ("planet", 0, "b"))
    ask("no name", ("user", 0, None))
    ask("default with a name", ("user", 1, "a"))
    ask("any with a name", ("user", 2, "a"))
    ask("unknown match", ("user", 3, None))
    ask("ip and user", ("ip", 2, None), ("user", 2, None))


@case("DescribeUserScramCredentials")
def credentials(side, version):
    user = side.name("u")
    side.ask("unknown", "DescribeUserScramCredentials", version, {"Users": [{"Name": user}]})
    side.ask("empty", "DescribeUserScramCredentials", version, {"Users": [{"Name": ""}]})
    side.ask("twice", "DescribeUserScramCredentials", version, {"Users": [{"Name": user}, {"Name": user}]})


@case("AlterUserScramCredentials")
def alters_credentials(side, version):
    user = side.name("u")

    def alter(label, upserts=(), deletions=()):
        side.ask(label, "AlterUserScramCredentials", version, {
            "Upsertions": [{"Name": n, "Mechanism": m, "Iterations": i, "Salt": b"salt", "SaltedPassword": b"p" * 32} for n, m, i in upserts],
            "Deletions": [{"Name": n, "Mechanism": m} for n, m in deletions]})
    alter("nothing")
    alter("new", [(user, 1, 4096)])
    alter("too few iterations", [(user, 1, 10)])
    alter("too many iterations", [(user, 1, 10**6)])
    alter("unknown mechanism", [(user, 9, 4096)])
    alter("empty name", [("", 1, 4096)])
    alter("both at once", [(user, 1, 4096)], [(user, 1)])
    alter("deleted", [], [(user, 1)])
    alter("deleted again", [], [(user, 1)])
