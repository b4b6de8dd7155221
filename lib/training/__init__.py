"""Training: one run (configuration in, history and network out), its labels, its teacher."""

from lib.training.config import TrainingConfig, checkpoint_epochs
from lib.training.gradients import Gradients
from lib.training.label_waves import argument, chi_mean, directional_wave, radial_wave
from lib.training.label_waves import smooth_labels, smoothing, wave
from lib.training.loop import cosine, predict, train, update
