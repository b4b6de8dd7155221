"""Measuring: how fast a network's output changes on the way from one image to another."""

from lib.measure.at_images import at_images, frequency_principle, jacobian_norms, temperature
from lib.measure.forward import Forward, exact_precision, usual_batch
from lib.measure.network import DRAW, OTHER_PATH_MEASURES, PATH_MEASURES, REPRESENTATIONS
from lib.measure.network import Measurement, Protocol, default_protocol, intervals, means, measure
from lib.measure.outputs import aliasing, outputs_along
from lib.measure.paths import PATHS, Joined, between_class_pairs, join, lengths, num_points
from lib.measure.paths import within_class_pairs
from lib.measure.spectrum import absolute_power_above, binned_power, effective_degree
from lib.measure.spectrum import high_frequency_fraction, power, power_above, total_variation
from lib.measure.sweep import measured, measurement_folder, read_measurement, stored
from lib.measure.sweep import summarize, sweep
