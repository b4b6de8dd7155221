"""Training: one run (configuration in, history and network out), its labels, its teacher."""

from lib.training.config import TrainingConfig, checkpoint_epochs
from lib.training.gradients import Gradients
from lib.training.label_waves import chi_mean, directional_wave, noise_fitting, radial_wave
from lib.training.label_waves import smooth_labels, wave, wave_slope, wave_summary
from lib.training.loop import cosine, predict, train, update
