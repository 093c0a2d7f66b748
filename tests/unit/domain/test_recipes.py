from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.recipes import AGENT, agent_recipe, component_recipe
from tests.unit.components import component

DESCRIPTIONS = st.text(st.sampled_from("aZ09-_. ()':,;?"), min_size=1, max_size=256)


@given(description=DESCRIPTIONS)
def test_a_recipe_is_yaml_whatever_the_description(description: str) -> None:
    made = component(version="1.0.0", description=description)

    recipe = yaml.safe_load(component_recipe(made, archive="s3://b/k.zip", digest="abc="))

    assert recipe["ComponentDescription"] == description


def test_a_model_component_has_what_greengrass_and_public_clients_expect() -> None:
    made = component(version="1.0.0")

    recipe = yaml.safe_load(component_recipe(made, archive="s3://b/k.zip", digest="abc="))

    assert recipe["RecipeFormatVersion"] == "2020-01-25"
    assert recipe["ComponentType"] == "aws.greengrass.generic"
    assert (recipe["ComponentName"], recipe["ComponentVersion"]) == ("circuits", "1.0.0")
    assert recipe["ComponentConfiguration"] == {"DefaultConfiguration": {"Autostart": False}}
    assert recipe["ComponentDependencies"][AGENT]["DependencyType"] == "HARD"
    assert recipe["Manifests"][0]["Lifecycle"]["Install"]["Script"] == (
        f'"{{{AGENT}:configuration:/Home}}/bin/blemish" edge install '
        f'--components "{{{AGENT}:configuration:/Components}}" '
        '--autostart "{configuration:/Autostart}" "{artifacts:path}/circuits-1.0.0.zip"'
    )


def test_the_agent_listens_where_the_originals_did() -> None:
    recipe = yaml.safe_load(agent_recipe())

    configuration = recipe["ComponentConfiguration"]["DefaultConfiguration"]
    assert recipe["ComponentName"] == "aws.iot.lookoutvision.EdgeAgent"
    assert configuration["Socket"] == "unix:/tmp/aws.iot.lookoutvision.EdgeAgent.sock"
    assert "edge agent --socket" in recipe["Manifests"][0]["Lifecycle"]["Run"]["Script"]
