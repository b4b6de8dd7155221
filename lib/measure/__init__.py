"""Measuring: how fast a network's output changes on the way from one image to another."""

from lib.measure.at_images import at_images, jacobian_norms
from lib.measure.compare import KINDS, compare, left_out, matched_counts, spectra
from lib.measure.forward import Forward, exact_precision, usual_batch
from lib.measure.network import DRAW, Measurement, Protocol, default_protocol, measure
from lib.measure.outputs import aliasing, outputs_along
from lib.measure.paths import PATHS, Joined, between_class_pairs, join, lengths, num_points
from lib.measure.paths import within_class_pairs
from lib.measure.spectrum import class_changes, floor, high_frequency_fraction, out_of_band_curve
from lib.measure.spectrum import out_of_band_power, out_of_band_share, total_variation, variance
from lib.measure.sweep import find_measurement, measured, of_seed, read_measurement, sweep
from lib.measure.columns import OUTPUTS, PRIMARY, VARIANTS, column
from lib.measure.tables import intervals, titles, with_shares
from lib.measure.waves import SUMMARIES, fitting, gain, noise_fitting, null, null_band, wave_summary
