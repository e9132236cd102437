use super::*;

fn person(role: Role, area: &str, agency: Option<&str>) -> Caller {
    Caller {
        who: Who::Person { id: uuid::Uuid::nil(), name: String::new(), role },
        area: area.to_owned(),
        agency: agency.map(str::to_owned),
    }
}

fn token(agency: Option<&str>) -> Caller {
    Caller {
        who: Who::Machine {
            id: uuid::Uuid::nil(),
            name: String::new(),
            scopes: TokenScope::WORDS.iter().filter_map(|w| TokenScope::parse(w)).collect(),
        },
        area: "*".to_owned(),
        agency: agency.map(str::to_owned),
    }
}

#[test]
fn nobody_reaches_into_another_area() {
    let there = Object { area: Some("southshire"), agencies: &["police"], ..Object::default() };
    for role in Role::WORDS.iter().filter_map(|w| Role::parse(w)) {
        for action in Action::ALL {
            assert!(!may(&person(role, "northshire", None), action, there), "{role:?} {action:?}");
        }
    }
}

#[test]
fn an_agency_sees_only_what_it_was_alerted_to() {
    let police = person(Role::Agency, "northshire", Some("police"));
    let of = |agencies| Object { area: Some("northshire"), agencies, ..Object::default() };
    let (alerted, not) = (of(&["police", "jar_nurse"]), of(&["jar_nurse"]));
    for action in [Action::ReadCase, Action::Acknowledge] {
        assert!(may(&police, action, alerted));
        assert!(!may(&police, action, not));
    }
    assert!(!may(&police, Action::ListCases, Object::default()));
}

#[test]
fn a_restricted_case_is_shut_to_everybody_who_is_not_on_its_list() {
    let of = |access| Object { area: Some("northshire"), access, ..Object::default() };
    for role in Role::WORDS.iter().filter_map(|w| Role::parse(w)) {
        let caller = person(role, "northshire", None);
        for action in [Action::ReadCase, Action::ChangeCase, Action::DecideJar, Action::Withdraw] {
            assert!(!may(&caller, action, of(Access::Shut)), "{role:?} {action:?}");
            let open = may(&caller, action, of(Access::Open));
            for access in [Access::Named, Access::Broken] {
                assert_eq!(may(&caller, action, of(access)), open, "{role:?} {action:?}");
            }
        }
        let keeps = role == Role::Guardian;
        for action in [Action::Restrict, Action::Hold] {
            for access in [Access::Shut, Access::Broken] {
                assert_eq!(may(&caller, action, of(access)), keeps, "{role:?} {action:?}");
            }
        }
    }
    assert!(!may(&token(None), Action::ReadCase, of(Access::Shut)));
    let alerted = Object { agencies: &["police"], ..of(Access::Shut) };
    assert!(may(&token(Some("police")), Action::Acknowledge, alerted));
    assert!(!may(&token(Some("police")), Action::ReadCase, alerted));
}

#[test]
fn whoever_is_bound_to_an_agency_sees_nothing_wider_than_its_cases() {
    let here = Object { area: Some("northshire"), ..Object::default() };
    for role in [Role::OnCall, Role::Coordinator, Role::DesignatedDoctor] {
        let bound = person(role, "northshire", Some("police"));
        for action in [Action::ListCases, Action::Export, Action::ReadPanels] {
            assert!(!may(&bound, action, here), "{role:?} {action:?}");
        }
        let alerted = Object { agencies: &["police"], ..here };
        assert!(may(&bound, Action::ReadCase, alerted) && may(&bound, Action::Notify, here));
    }
}

#[test]
fn some_roles_lose_a_case_with_its_stage() {
    let at = |stage| Object {
        area: Some("northshire"),
        agencies: &["police"],
        stage: Some(stage),
        ..Object::default()
    };
    let on_call = person(Role::OnCall, "northshire", None);
    let police = person(Role::Agency, "northshire", Some("police"));
    let coordinator = person(Role::Coordinator, "northshire", None);
    for (stage, call, agency) in [
        (Stage::Gathering, true, true),
        (Stage::Listed, true, true),
        (Stage::Reviewed, false, true),
        (Stage::Closed, false, false),
    ] {
        let by_token = |of| may(&token(of), Action::ReadCase, at(stage));
        assert_eq!(by_token(Some("police")), agency, "{stage:?}");
        assert!(by_token(None), "the area's own systems keep it: {stage:?}");
        assert_eq!(may(&on_call, Action::ReadCase, at(stage)), call, "{stage:?}");
        assert_eq!(may(&police, Action::ReadCase, at(stage)), agency, "{stage:?}");
        assert!(may(&coordinator, Action::ReadCase, at(stage)), "{stage:?}");
    }
}

#[test]
fn the_matrix_is_the_reviewed_one() {
    let mut text = String::from("action");
    let roles: Vec<Role> = Role::WORDS.iter().filter_map(|w| Role::parse(w)).collect();
    for r in &roles {
        text += &[",", r.word()].concat();
    }
    text.push_str(",public\n");
    for a in Action::ALL {
        text += format!("{a:?}").as_str();
        for r in &roles {
            text.push_str(if role_may(*r, a) { ",yes" } else { ",-" });
        }
        let public = may(&Caller::public(), a, Object::default());
        text.push_str(if public { ",yes\n" } else { ",-\n" });
    }
    let reviewed = include_str!("../../../tests/data/permissions.csv");
    assert_eq!(text, reviewed, "if this change is meant, review it in tests/data/permissions.csv");
}
