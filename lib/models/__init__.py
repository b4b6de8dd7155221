"""Which function is measured? Networks by name, of the study and of others."""

from lib.models.families import FAMILIES, build, num_parameters
from lib.models.pretrained import architecture, is_external, load_pretrained, load_weights
from lib.models.pretrained import own_network, parse, read_state_dict
