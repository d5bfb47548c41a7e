from ptychosuite.api.checking import CheckVerdict as CheckVerdict
from ptychosuite.api.checking import check as check
from ptychosuite.api.checking import list_baselines as list_baselines
from ptychosuite.api.checking import save_baseline as save_baseline
from ptychosuite.api.comparing import ComparedStores as ComparedStores
from ptychosuite.api.comparing import compare as compare
from ptychosuite.api.data_files import Converted as Converted
from ptychosuite.api.data_files import convert as convert
from ptychosuite.api.data_files import describe_data as describe_data
from ptychosuite.api.fine_tuning import FineTuned as FineTuned
from ptychosuite.api.fine_tuning import fine_tune as fine_tune
from ptychosuite.api.folders import Cleaning as Cleaning
from ptychosuite.api.folders import Merged as Merged
from ptychosuite.api.folders import clean as clean
from ptychosuite.api.folders import merge as merge
from ptychosuite.api.following import Progress as Progress
from ptychosuite.api.importing import ImportedResult as ImportedResult
from ptychosuite.api.importing import import_result as import_result
from ptychosuite.api.installation import available as available
from ptychosuite.api.installation import doctor as doctor
from ptychosuite.api.installation import faults as faults
from ptychosuite.api.installation import schema as schema
from ptychosuite.api.own_loops import LoopData as LoopData
from ptychosuite.api.own_loops import carry_ahead as carry_ahead
from ptychosuite.api.own_loops import cdtools_loop as cdtools_loop
from ptychosuite.api.own_loops import deviance as deviance
from ptychosuite.api.own_loops import ptychi_loop as ptychi_loop
from ptychosuite.api.planning import StudyPlan as StudyPlan
from ptychosuite.api.planning import plan as plan
from ptychosuite.api.publishing import DrawnFigures as DrawnFigures
from ptychosuite.api.publishing import Exported as Exported
from ptychosuite.api.publishing import Page as Page
from ptychosuite.api.publishing import export as export
from ptychosuite.api.publishing import figures as figures
from ptychosuite.api.publishing import report as report
from ptychosuite.api.publishing import trend as trend
from ptychosuite.api.repeating import Reproduction as Reproduction
from ptychosuite.api.repeating import reproduce as reproduce
from ptychosuite.api.results import Results as Results
from ptychosuite.api.results import open_results
from ptychosuite.api.shipped import ShippedStudies as ShippedStudies
from ptychosuite.api.shipped import ShippedStudy as ShippedStudy
from ptychosuite.api.shipped import new_study as new_study
from ptychosuite.api.shipped import studies as studies
from ptychosuite.api.streaming import Stream as Stream
from ptychosuite.api.sweeping import Sweep as Sweep
from ptychosuite.api.sweeping import SweepOutcome as SweepOutcome
from ptychosuite.api.sweeping import parts as parts
from ptychosuite.api.sweeping import prepare as prepare
from ptychosuite.api.sweeping import run as run
from ptychosuite.api.training import train as train
from ptychosuite.api.watching import DrawnReport as DrawnReport
from ptychosuite.api.watching import watch as watch

open = open_results
__version__: str
__all__: list[str]
